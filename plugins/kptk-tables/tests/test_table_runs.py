"""From a CSV to predictions: the label and the columns stay what they were said to be, from command to command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kptk
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    age, town = rng.integers(18, 90, 240), rng.choice(["Bern", "Basel", "Chur"], 240)
    rich = np.where((age > 50) ^ (rng.random(240) < 0.05), "yes", "no")
    part = np.where(np.arange(240) < 200, "train", "test")
    path = tmp_path_factory.mktemp("people") / "people.csv"
    rows = ["part,age,town,rich", *(",".join(map(str, row)) for row in zip(part, age, town, rich, strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path


def trained(people: Path, out: Path, **options: str) -> Path:
    small = {"train.epochs": 1, "train.batch_size": 64, **{f"data.{name}": value for name, value in options.items()}}
    return kptk.train("contrastive", data=str(people), out=out, options=small).folder


def test_every_command_after_training_knows_the_label(people: Path, tmp_path: Path) -> None:
    from kptk.finetuning import resolve_finetune
    from kptk.request import Request
    from kptk.training.finetune import FineTune

    run = trained(people, tmp_path / "run", label="rich", split="part")
    judged = kptk.evaluate(run, str(people), protocols=("linear",), k=3)
    assert {score.encoder for score in judged.scores} == {"run", "random", "raw"}
    assert all(score.test == 40 for score in judged.scores)  # the test part of the column
    request = Request(recipe=str(run), names={"task": "classification"}, data=str(people))
    tuned = FineTune(resolve_finetune(Plugins(), request), Plugins()).start(tmp_path / "tuned").folder
    kptk.predict(str(tuned), str(people), str(tmp_path / "out.csv"))
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 241  # every row, those of the test part too
    columns = lines[0].split(",")
    place = columns.index("prediction"), columns.index("label")
    pairs = [[line.split(",")[index] for index in place] for line in lines[1:]]
    assert np.mean([guess == truth for guess, truth in pairs]) > 0.8
    names, *cells = [line.split(",") for line in people.read_text().splitlines()]
    columns = dict(zip(names, map(np.array, zip(*cells, strict=True)), strict=True))
    np.savez(tmp_path / "same.npz", **(columns | {"age": columns["age"].astype("int16")}))
    kptk.predict(str(tuned), str(tmp_path / "same.npz"), str(tmp_path / "again.csv"))
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "out.csv").read_text()


def test_a_label_that_was_an_input_is_refused_and_training_without_one_says_so(people: Path, tmp_path: Path) -> None:
    from kptk.training.reporter import Reporter

    class Kept(Reporter):
        lines = []  # noqa: RUF012

        def line(self, text: str) -> None:
            self.lines.append(text)

    small = {"train.epochs": 1, "train.batch_size": 64}
    run = kptk.train("contrastive", data=str(people), out=tmp_path / "run", options=small, reporter=Kept()).folder
    assert any("-o data.label=COLUMN" in line for line in Kept.lines)
    with pytest.raises(InputError, match="'rich' as an input"):
        kptk.evaluate(run, str(people), data_options={"label": "rich"})
    with pytest.raises(UsageError, match="labels"):
        kptk.evaluate(run, str(people), data_options={"labels": "rich"})
