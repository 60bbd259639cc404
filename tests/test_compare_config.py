"""What a comparison is: names to arms, options to the arms that have them, written whole and read back; bad wishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kptk.budget import Budget
from kptk.comparing import ComparisonRequest, read_comparison, resolve_comparison, to_toml
from kptk.comparing.config import ALL, parse_labels
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.request import Setting
from kptk.training.compare.groups import groups_of
from kptk.training.compare.table import duplicates, open_table, overlaps

PLUGINS = Plugins()


def resolved(*objectives: str, data: str = "mnist10k", options: dict | None = None, **more):
    settings = tuple(Setting(key, value) for key, value in (options or {}).items())
    return resolve_comparison(PLUGINS, ComparisonRequest(objectives=objectives, data=data, settings=settings, **more))


def arm(config, name: str):
    return next(arm for arm in config.arms if arm.name == name)


def test_names_are_objectives_aliases_and_scratch() -> None:
    config = resolved("simclr", "momentum/momentum", "byol")
    assert [a.name for a in config.arms] == ["simclr", "momentum", "byol", "scratch"]  # scratch is always there
    assert [a.objective.id for a in config.arms[:3]] == [
        "contrastive/contrastive",
        "momentum/momentum",
        "noncontrastive/byol",
    ]
    assert arm(config, "scratch").scratch and config.baseline == "scratch"
    assert resolved("scratch", "supervised").arms[1].sees_labels


def test_every_arm_has_the_first_ones_backbone_and_batch() -> None:
    config = resolved("contrastive", "sparse", "scratch", values={"batch_size": "64"})
    assert {a.backbone.id for a in config.arms} == {"vision/example_cnn"}  # the recipe of sparse has an mlp
    assert {a.train.values["batch_size"] for a in config.arms} == {64}
    assert {a.backbone.id for a in resolved("contrastive", backbone="resnet18").arms} == {"vision/resnet18"}


def test_options_reach_the_arms_that_have_them() -> None:
    config = resolved(
        "contrastive",
        "byol",
        options={"objective.temperature": 0.2, "byol:train.learning_rate": 0.01, "backbone.units": 32, "crop": 0.9},
    )
    assert arm(config, "contrastive").objective.values["temperature"] == 0.2
    assert "temperature" not in arm(config, "byol").objective.values
    assert arm(config, "byol").train.values["learning_rate"] == 0.01
    assert arm(config, "contrastive").train.values["learning_rate"] != 0.01
    assert {a.backbone.values["units"] for a in config.arms} == {32}
    assert {a.preprocessor.values["crop"] for a in config.arms} == {0.9}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective.temprature": 0.2}, "has no option 'temprature'"),
        ({"contrastve:objective.temperature": 0.2}, "no arm 'contrastve'.*Did you mean 'contrastive'"),
        ({"train.epochs": 3}, "'epochs' is no option of an arm"),
        ({"train.dtype": "mixed_bfloat16"}, "'dtype' is no option of an arm"),
        ({"train.batch_size": 3}, "--batch-size"),
        ({"objective.temperature": -1.0}, "`temperature` must be"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolved("contrastive", options=options)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "nothing to compare was named"),
        ({"objectives": ("contrastive",)}, "no data was named"),
        ({"objectives": ("contrastve",), "data": "mnist10k"}, "Did you mean 'contrastive'"),
        ({"objectives": ("byol", "byol"), "data": "mnist10k"}, "'byol' is named twice"),
        ({"ready": "stratgies", "data": "mnist10k"}, "Did you mean 'strategies'"),
        ({"ready": "transfer-scenarios", "data": "mnist10k"}, "--source"),
        ({"objectives": ("contrastive",), "data": "mnist10k", "values": {"budget": "7parsecs"}}, "`budget` must be"),
        (
            {"objectives": ("contrastive",), "data": "mnist10k", "values": {"labels_per_class": "1,some"}},
            "labels_per_class",
        ),
        ({"objectives": ("contrastive",), "data": "mnist10k", "values": {"rates": "fast"}}, "`rates` must be"),
        ({"objectives": ("contrastive",), "data": "mnist10k", "values": {"sedes": 2}}, "has no option 'sedes'"),
        ({"objectives": ("contrastive", "masked"), "data": "mnist10k"}, "needs a backbone that works on patches"),
        ({"objectives": ("contrastive",), "data": "no/such/folder"}, "no file, folder or data set"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(request_: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_comparison(PLUGINS, ComparisonRequest(**request_))


def test_budgets() -> None:
    assert Budget.parse("700steps").steps(rows=10, batch_size=5) == 700
    assert Budget.parse("20 epochs").steps(rows=1000, batch_size=128) == 140
    assert Budget.parse("5minutes").steps(rows=1, batch_size=1, step_seconds=0.1) == 3000
    assert Budget.parse("1.5h").amount == 5400
    assert str(Budget.parse("90s")) == "1.5 minutes"
    for text in ("", "700", "steps", "-3steps", "0epochs", "0.5steps", "7 parsecs"):
        with pytest.raises(UsageError, match="`budget` must be"):
            Budget.parse(text)


def test_labels() -> None:
    assert parse_labels("1, 5,ALL,5") == (1, 5, ALL)


@pytest.mark.parametrize("more", [{}, {"strategies": ("lora", "bitfit")}, {"values": {"seeds": "2", "margin": "0.5"}}])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, more: dict) -> None:
    config = resolved("contrastive", "byol", "scratch", options={"data.limit": 500}, **more)
    path = tmp_path / "comparison.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    again = read_comparison(PLUGINS, path)
    assert again == config
    assert [group.name for group in groups_of(again)] == [group.name for group in groups_of(config)]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comparison.toml"
    path.write_text('[tool]\nname = "x"\n')
    with pytest.raises(InputError, match="not the configuration of a comparison"):
        read_comparison(PLUGINS, path)
    path.write_text(to_toml(resolved("contrastive")).replace("temperature", "temprature"))
    with pytest.raises(UsageError, match="no option 'temprature'"):
        read_comparison(PLUGINS, path)


def test_strategies_share_one_pretraining() -> None:
    config = resolved("contrastive", strategies=("lora", "bitfit"))
    assert [a.name for a in config.arms] == ["contrastive+lora", "contrastive+bitfit", "scratch"]
    assert [[a.name for a in group.arms] for group in groups_of(config)] == [
        ["contrastive+lora", "contrastive+bitfit"],
        ["scratch"],
    ]


def test_ready_comparisons_take_another_objective_and_data() -> None:
    ready = resolve_comparison(PLUGINS, ComparisonRequest(ready="strategies"))
    assert ready.baseline == "weight"
    assert len(groups_of(ready)) == 2
    assert ready.data.id == "vision/mnist10k"
    other = resolve_comparison(PLUGINS, ComparisonRequest(ready="strategies", objectives=("byol",), data="emoji48"))
    assert arm(other, "lora").objective.id == "noncontrastive/byol"
    scenarios = resolve_comparison(
        PLUGINS, ComparisonRequest(ready="transfer-scenarios", data="emoji48", source="mnist10k")
    )
    assert arm(scenarios, "domain_adaptation").pretrain == ("source", "own")
    assert arm(scenarios, "small_budget").share == 0.1
    assert len(groups_of(scenarios)) == 5


# Data ----------------------------------------------------------------------------------------------------------------


def saved(path: Path, x, y=None) -> str:
    np.savez(path, x=x, **({} if y is None else {"y": y}))
    return str(path)


def digits(count: int = 300, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 8, 8, 1)).astype("uint8"), np.arange(count) % classes


def small(path: str, labels: str = "1,5", **values):
    return resolved("contrastive", data=path, values={"labels_per_class": labels, "batch_size": 32, **values})


def test_data_without_a_test_part_gets_one_from_each_seed(tmp_path: Path) -> None:
    x, y = digits()
    config = small(saved(tmp_path / "d.npz", x, y))
    table = open_table(config)
    assert table.test is None and table.test_rows == 90 and table.pool_rows == 210
    first, second = (table.draw(config, seed, 5) for seed in (0, 1))
    assert len(first.x) == 15
    assert not np.array_equal(first.test[0], second.test[0])


def test_an_own_test_part_is_never_trained_on() -> None:
    config = resolved("contrastive", values={"test_rows": 500})
    table = open_table(config)
    holdout = set(map(bytes, table.test[0]))
    assert len(table.test[0]) == 500
    data = table.draw(config, 0, 5)
    assert data.test[0] is table.test[0]
    assert not holdout & set(map(bytes, data.pool))
    drawn = open_table(resolved("contrastive", values={"split": "seed"}))
    assert len(drawn.x) == 10_000 and drawn.test_rows == 2000


@pytest.mark.parametrize(
    ("make", "values", "said"),
    [
        (lambda x, y: (x, None), {}, "a comparison needs labels"),
        (lambda x, y: (x, y * 0), {}, "all rows have one class"),
        (lambda x, y: (x[:20], y[:20]), {}, "rows are left for pre-training, fewer than one batch of 32"),
        (
            lambda x, y: (x, y),
            {"labels_per_class": "1,200"},
            r"class '\d' has \d+ rows .* too few for 200 labelled and 10",
        ),
        (lambda x, y: (x, y), {"validation_per_class": 100}, "fewer validation rows"),
        (lambda x, y: (x, np.where(np.arange(len(y)) < 3, 7, y)), {}, "class '7' has [0-3] rows"),
    ],
)
def test_data_that_cannot_be_compared_on_is_refused(tmp_path: Path, make, values: dict, said: str) -> None:
    path = saved(tmp_path / "d.npz", *make(*digits()))
    with pytest.raises(InputError, match=said):
        open_table(small(path, labels=values.pop("labels_per_class", "1,5"), **values))


def test_a_test_part_with_other_classes_is_refused() -> None:
    from kptk.data import ArraySource
    from kptk.training.compare.table import refuse_other_classes

    x, y = digits()
    with pytest.raises(InputError, match="9 only in the test part"):
        refuse_other_classes(ArraySource(x, y), ArraySource(x, np.where(y == 2, 9, y)))
    refuse_other_classes(ArraySource(x, y), ArraySource(x, y))


def test_a_planted_leak_is_counted(tmp_path: Path) -> None:
    """A fifth of the rows twice in the file: copies of test rows turn up among the rows to learn from."""
    x, y = digits()
    clean = small(saved(tmp_path / "clean.npz", x, y))
    assert overlaps(clean, open_table(clean), PLUGINS) == []
    config = small(saved(tmp_path / "leak.npz", np.concatenate([x, x[:60]]), np.concatenate([y, y[:60]])))
    table = open_table(config)
    (warning,) = overlaps(config, table, PLUGINS)
    data = [table.draw(config, seed, 1) for seed in config.seeds]
    by_hand = max(sum(bytes(row) in set(map(bytes, d.pool)) for row in d.test[0]) for d in data)
    assert by_hand > 5
    assert f"{by_hand} of {table.tested} test rows are exact copies" in warning


def test_duplicates_of_texts_are_found_too() -> None:
    rows = np.array(["a", "b", "c"], dtype=object)
    assert duplicates(rows, [np.array(["b", "x"], dtype=object)]) == 1


def test_a_finished_run_is_an_arm_and_its_data_are_looked_at(tmp_path: Path) -> None:
    from kptk.config import resolve
    from kptk.request import Request
    from kptk.runfolder import RunFolder
    from kptk.spellings import to_toml as run_toml

    x, y = digits()
    data = saved(tmp_path / "d.npz", x, y)
    run = resolve(PLUGINS, Request(recipe="contrastive", data=data, names={"backbone": "example_cnn"}))
    folder = RunFolder.create(tmp_path / "mine", run_toml(run), {})
    with pytest.raises(InputError, match=r"no backbone\.keras: the run did not end"):
        resolved(str(folder.path), data=data)
    folder.write("backbone.keras", b"not looked at here")
    config = resolved(str(folder.path), data=data, values={"labels_per_class": "1", "batch_size": 32})
    assert arm(config, "mine").origin == str(folder.path.resolve())
    assert not arm(config, "mine").scratch
    assert arm(config, "scratch").backbone.id == "vision/example_cnn"
    warnings = overlaps(config, open_table(config), PLUGINS)
    assert any("300 of 300 rows" in line and "the run mine was pre-trained on" in line for line in warnings)
    path = tmp_path / "comparison.toml"
    path.write_text(to_toml(config))
    assert read_comparison(PLUGINS, path) == config
