"""Ready comparisons of first-party plugins, small: what they compare, and that they run on rows of their kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.cli.main import cli
from kptk.comparing import ComparisonRequest, read_comparison, resolve_comparison, to_toml
from kptk.data import ArraySource
from kptk.errors import InputError, UsageError
from kptk.parts import Joined
from kptk.plugins import Plugins
from kptk.request import Setting
from kptk.training.compare.other import refuse_corpora
from kptk.training.compare.table import open_table

PLUGINS = Plugins()
TINY = {"labels_per_class": "2", "seeds": 1, "batch_size": 8, "finetune_steps": 3, "validation_per_class": 2}
TINY |= {"rates": "0.001", "scratch_rates": "0.001"}
SMALL = {"backbone.width": 8, "backbone.layers": 1, "preprocessor.length": 16, "preprocessor.vocabulary": 80}


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """Labelled commands, and a corpus of documents of several sentences."""
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    words = {"light": ["bright", "dark", "lamp", "glow"], "music": ["song", "loud", "tune", "play"]}
    lines = [f"{label},{' '.join(rng.choice(words[label], 4))}" for _ in range(40) for label in words]
    (folder / "commands.csv").write_text("label,text\n" + "\n".join(lines) + "\n")
    stories = [". ".join(" ".join(rng.choice(words[w], 5)).capitalize() for w in words) + "." for _ in range(30)]
    (folder / "stories.txt").write_text("\n\n".join(stories))
    (folder / "lines.txt").write_text("\n".join(line.partition(",")[2] for line in lines))
    return folder


def request(texts: Path, **more) -> ComparisonRequest:
    settings = [Setting(key, value) for key, value in SMALL.items()]
    settings += [Setting("data.text", "text"), Setting("data.label", "label")]
    given = {"ready": "mlm-vs-nsp", "data": str(texts / "commands.csv"), "source": str(texts / "stories.txt")} | more
    settings += given.pop("settings", [Setting("source.unit", "paragraph", text=True)])
    return ComparisonRequest(values=TINY, settings=tuple(settings), **given)


def test_the_arms_differ_in_the_objective_alone() -> None:
    config = resolve_comparison(PLUGINS, ComparisonRequest(ready="mlm-vs-nsp"))
    assert [arm.name for arm in config.arms] == ["mlm", "nsp", "bert", "scratch"]
    assert (config.source, config.source_options, config.baseline) == ("text/wiki_mini", {"rows": "article"}, "scratch")
    assert len({str(dict(arm.backbone.values)) for arm in config.arms}) == 1
    assert len({str(dict(arm.preprocessor.values)) for arm in config.arms}) == 1
    assert len({str(dict(arm.train.values)) for arm in config.arms}) == 1
    assert all(arm.pretrain == ("source",) for arm in config.arms if not arm.scratch)
    own = resolve_comparison(PLUGINS, ComparisonRequest(ready="mlm-vs-nsp", source="own"))
    assert own.source == ""
    assert all(arm.pretrain == ("own",) for arm in own.arms if not arm.scratch)


def test_options_of_the_other_data_are_checked_and_written(texts, tmp_path) -> None:
    config = resolve_comparison(PLUGINS, request(texts))
    assert config.source_options == {"unit": "paragraph"}
    (tmp_path / "comparison.toml").write_text(to_toml(config))
    again = read_comparison(PLUGINS, tmp_path / "comparison.toml")
    assert (again.source, again.source_options, again.advice) == (config.source, config.source_options, config.advice)
    with pytest.raises(UsageError, match="has no option 'unitt'"):
        resolve_comparison(PLUGINS, request(texts, settings=[Setting("source.unitt", "line", text=True)]))
    with pytest.raises(InputError, match="no file or folder"):
        resolve_comparison(PLUGINS, request(texts, source=str(texts / "nothing.txt")))
    wrong = ComparisonRequest(
        objectives=("mlm",), data="home_intents", settings=(Setting("source.rows", "article", text=True),)
    )
    with pytest.raises(UsageError, match="no arm pre-trains on other data"):
        resolve_comparison(PLUGINS, wrong)


@pytest.mark.parametrize("source", ["lines.txt", "own"])
def test_texts_of_one_sentence_are_refused_before_anything_is_trained(texts, source) -> None:
    where = source if source == "own" else str(texts / source)
    config = resolve_comparison(PLUGINS, request(texts, source=where, settings=[]))
    with pytest.raises(InputError, match=r"no text has two sentences.*-o source\.unit"):
        refuse_corpora(config, open_table(config), PLUGINS)
    done = CliRunner().invoke(cli, ["train", "--plugin", "nsp", "--data", "home_intents"])
    assert done.exit_code == 2
    assert "no text has two sentences" in done.stderr


def test_pairs_of_other_texts_teach_an_arm_with_one_vocabulary_for_all(texts) -> None:
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.compare import worker
    from kptk.training.compare.seat import Seat
    from kptk.training.compare.teaching import Teaching

    config = resolve_comparison(PLUGINS, request(texts))
    config = replace(config, arms=tuple(replace(arm, ways=("frozen",)) for arm in config.arms))
    table = open_table(config)
    refuse_corpora(config, table, PLUGINS)
    by_name = {arm.name: arm for arm in config.arms}
    seats = {name: Seat(config, by_name[name], table, 0) for name in ("bert", "scratch")}
    vocabularies = {str(seat.fitted.get_config()["state"]) for seat in seats.values()}
    assert len(vocabularies) == 1
    seat = seats["bert"]
    teaching = Teaching(config, by_name["bert"], seat, PLUGINS, 2)
    rows = teaching.source("source")
    assert rows.read(np.arange(2)).shape == (2, 3, 16)
    made = worker._cells(config, [by_name["bert"]], seat, teaching, 2, PLUGINS)
    outcome = made["bert/frozen"](seat.draw(2))
    assert 0 <= outcome.test <= 1
    assert outcome.facts["steps"] == 2
    assert np.isfinite(outcome.facts["loss"])


def test_preparations_are_compared_from_scratch_or_with_an_objective() -> None:
    config = resolve_comparison(PLUGINS, ComparisonRequest(ready="preprocessing"))
    assert config.baseline == "standard"
    assert all(arm.scratch for arm in config.arms)
    scalings = {arm.name: arm.preprocessor.values["scaling"] for arm in config.arms}
    assert scalings["unscaled"] == "none"
    assert scalings["hashed"] == "standard"
    taught = resolve_comparison(PLUGINS, ComparisonRequest(ready="preprocessing", objectives=("scarf",)))
    assert {arm.objective.id for arm in taught.arms} == {"tables/scarf"}
    assert taught.arms[1].preprocessor.values["scaling"] == "none"


def test_preparations_run(tmp_path) -> None:
    """Two ways from scratch through the worker's own code; the linear control has the prepared cells."""
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.compare import worker
    from kptk.training.compare.seat import Seat

    request = ComparisonRequest(
        ready="preprocessing", data="breast_cancer", values=TINY, settings=(Setting("backbone.units", 8),)
    )
    config = resolve_comparison(PLUGINS, request)
    table = open_table(config)
    arm = next(arm for arm in config.arms if arm.name == "minmax")
    seat = Seat(config, arm, table, 0)
    data = seat.draw(2)
    cells = np.asarray(backend.import_keras().ops.convert_to_numpy(seat.preprocessor().plain(data.pool)))
    assert cells.min() >= 0 and cells.max() < 1.001  # this arm's own scaling, fitted on this pool
    made = worker._cells(config, [arm], seat, lambda *_: {}, 1, PLUGINS)
    assert set(made) == {
        f"minmax/{way}" for way in ("raw", "random", "scratch", "scratch-long", "scratch-long-augmented")
    }
    assert made["minmax/raw"](data).test > 0.6


def test_joined_rows_are_those_of_the_sources_in_any_order() -> None:
    sources = [ArraySource(np.arange(6).reshape(3, 2)), ArraySource(np.arange(6, 10).reshape(2, 2))]
    both = Joined(sources)
    np.testing.assert_array_equal(both.read(np.array([4, 0, 3, 2])), [[8, 9], [0, 1], [6, 7], [4, 5]])
    words = Joined([ArraySource(np.array([w], dtype=object), inputs="text") for w in ("one", "two three")])
    assert words.read(np.array([1, 0])).tolist() == ["two three", "one"]
    assert words.read(np.array([1, 0])).dtype == object
    assert len(both) == 5
    assert both.fingerprint() != Joined(sources[::-1]).fingerprint()
