"""A loss that is not a number: its batch is kept with its rows, the checkpoint before it stays, and a replay finds the cause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk import runfolder
from kptk.cli.main import cli
from kptk.data import ArraySource
from kptk.errors import InputError
from kptk.runfolder import RunFolder
from kptk.training import checkpoint
from kptk.training.nan_capture import NanCapture, describe_rows
from kptk.training.replay import replay
from kptk.training.stream import batch_rows

QUICK = {
    "backbone.units": 8,
    "objective.hidden_dim": 8,
    "train.deterministic": False,
    "train.optimizer": "sgd",
    "train.warmup": 0.0,
    "train.schedule": "constant",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, x=np.random.default_rng(0).random((96, 12, 12, 1)).astype("float32"))
    return path


def train(images: Path, out: Path, **options) -> RunFolder:
    settings = QUICK | {key.replace("__", "."): value for key, value in options.items()}
    made = kptk.train("contrastive", data=str(images), out=out, epochs=3, batch_size=32, options=settings)
    return RunFolder(made.folder)


@pytest.fixture(scope="module")
def blown(images, tmp_path_factory) -> RunFolder:
    """A learning rate that overflows the weights in the first steps."""
    return train(images, tmp_path_factory.mktemp("runs") / "blown", train__learning_rate=1e25)


def test_the_batch_is_kept_with_its_rows(blown, images) -> None:
    with np.load(blown.path / runfolder.NAN_BATCH, allow_pickle=False) as kept:
        step = int(kept["step"])
        np.testing.assert_array_equal(kept["rows"], batch_rows(96, 32, 0, step))
        np.testing.assert_array_equal(kept["previous_rows"], batch_rows(96, 32, 0, step - 1))
        with np.load(images) as data:
            np.testing.assert_array_equal(kept["x"], data["x"][kept["rows"]])
        assert not np.isfinite(kept["losses"][-1])
        assert np.isfinite(kept["losses"][:-1]).all()
        assert len(kept["weights"])
    summary = blown.read_json(runfolder.SUMMARY)
    assert summary["status"] == "diverged"
    assert summary["findings"][0]["name"] == "Diverged"


def test_a_replay_finds_where_it_begins_and_changes_nothing(blown) -> None:
    before = {path.name: path.read_bytes() for path in blown.path.iterdir() if path.is_file()}
    found = replay(blown.path)
    assert found.stages["inputs"][0]
    assert found.stages["views"][0]
    assert not found.stages["loss"][0]
    assert found.broken
    assert "learning rate" in found.remedy
    assert before == {path.name: path.read_bytes() for path in blown.path.iterdir() if path.is_file()}
    done = CliRunner().invoke(cli, ["replay", str(blown.path), "--json"])
    assert done.exit_code == 0, done.output
    again = json.loads(done.stdout)
    assert (again["step"], again["broken"]) == (found.step, found.broken)
    assert again["rows"] == list(found.rows)


def test_the_checkpoint_before_stays_and_the_replay_starts_there(images, tmp_path, monkeypatch) -> None:
    """Weights are spoilt in the second epoch: the checkpoint of the first must survive."""
    from kptk.training.callbacks import ShowProgress

    usual = ShowProgress.on_train_batch_end

    def spoil(self, batch, logs=None):
        usual(self, batch, logs)
        if self.step == 4:
            weight = self.model.trainable_weights[0]
            weight.assign(keras.ops.full(weight.shape, np.inf))

    monkeypatch.setattr(ShowProgress, "on_train_batch_end", spoil)
    run = train(images, tmp_path / "run", train__learning_rate=1e-3)
    monkeypatch.setattr(ShowProgress, "on_train_batch_end", usual)
    state, progress = checkpoint.load(run.checkpoints)
    assert progress.step == 3
    assert all(np.isfinite(value).all() for value in state.values() if value.dtype.kind == "f")
    with np.load(run.path / runfolder.NAN_BATCH) as kept:
        step = int(kept["step"])
        # The loss of a comparison of directions can stay finite; then the features of the epoch's end show it.
        assert step in (4, 5)
    summary = run.read_json(runfolder.SUMMARY)
    assert summary["status"] == "diverged"
    assert summary["epochs"] == 2  # stopped
    assert [finding["name"] for finding in summary["findings"]] == ["Diverged"]
    found = replay(run.path)
    assert (found.step, found.start) == (step + 1, 3)
    # Nobody spoils them this time.
    assert found.broken == ""
    assert "everything about the step is finite" in found.cause


def test_a_run_that_goes_well_keeps_no_batch(images, tmp_path) -> None:
    run = train(images, tmp_path / "run", train__learning_rate=1e-3)
    assert not (run.path / runfolder.NAN_BATCH).exists()
    with pytest.raises(InputError, match=r"has no nan_batch\.npz"):
        replay(run.path)
    done = CliRunner().invoke(cli, ["replay", str(run.path)])
    assert done.exit_code == 2
    assert "no loss of this run was anything but a number" in done.stderr


def test_rows_that_are_no_numbers_are_named(tmp_path) -> None:
    x = np.ones((8, 3), "float32")
    x[[2, 5]] = np.nan
    assert describe_rows(x, np.arange(10, 18)) == "2 of its rows hold values that are not finite: row 12, 15"
    assert "8 rows are finite" in describe_rows(np.ones((8, 3), "uint8"), np.arange(8))
    said: list[str] = []
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    source = ArraySource(np.tile(x, (4, 1)), inputs="table")
    capture = NanCapture(
        0, 4, path=tmp_path / "nan.npz", source=source, batch_size=8, seed=0, labels=np.arange(32), say=said.append
    )
    capture.set_model(model)
    for step, loss in enumerate((2.0, 1.5, float("nan"), float("nan"))):
        capture.on_train_batch_end(step, {"loss": loss})
    assert len(said) == 1
    assert "from step 3" in said[0]
    with np.load(tmp_path / "nan.npz") as kept:
        np.testing.assert_allclose(kept["losses"], [2.0, 1.0, np.nan])  # Keras logs running means
        np.testing.assert_array_equal(kept["y"], kept["rows"])


@pytest.mark.parametrize(
    ("words", "value"), [("nan", "nan"), ("collapse,nan", "collapse"), ("collapse", "collapse"), ("never", "never")]
)
def test_stop_on_is_a_list(words, value) -> None:
    done = CliRunner().invoke(cli, ["train", "--plugin", "contrastive", "--stop-on", words, "--print-config"])
    assert done.exit_code == 0, done.output
    assert f'stop_on = "{value}"' in done.stdout


@pytest.mark.parametrize("words", ["loss", "never,nan", ""])
def test_an_unknown_reason_is_refused(words) -> None:
    done = CliRunner().invoke(cli, ["train", "--plugin", "contrastive", f"--stop-on={words}", "--print-config"])
    assert done.exit_code == 2
    assert "--stop-on takes nan, collapse,nan or never" in done.stderr
