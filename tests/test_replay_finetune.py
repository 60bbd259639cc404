"""A fine-tuning whose loss stops being a number is replayed, phase by phase, and nothing of it changes."""

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
from kptk.errors import InputError
from kptk.finetuning import resolve_finetune
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.runfolder import RunFolder
from kptk.training.finetune import FineTune
from kptk.training.replay import replay


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    """A backbone with fresh weights, and labelled images."""
    folder = tmp_path_factory.mktemp("parts")
    kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=2, units=4).save(folder / "net.keras")
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.random((48, 8, 8, 1)).astype("float32"), y=np.arange(48) % 2)
    return folder


def tune(parts: Path, out: Path, strategy: str, **options) -> RunFolder:
    settings = {"train.epochs": 4, "train.batch_size": 12, "train.warmup": 0.0, "train.schedule": "constant"}
    settings |= {"train.optimizer": "sgd", "train.deterministic": False} | options
    request = Request(
        recipe=str(parts / "net.keras"),
        names={"task": "classification", "strategy": strategy},
        data=str(parts / "rows.npz"),
        settings=tuple(Setting(key, value) for key, value in settings.items()),
    )
    plugins = Plugins()
    FineTune(resolve_finetune(plugins, request), plugins).start(out)
    return RunFolder(out)


@pytest.mark.parametrize("strategy", ["weight", "feature_extraction", "lp_ft"])
def test_where_it_begins_is_found_in_live_and_cached_phases(parts, tmp_path, strategy) -> None:
    run = tune(parts, tmp_path / "run", strategy, **{"train.learning_rate": 1e30})
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    found = replay(run.path)
    with np.load(run.path / runfolder.NAN_BATCH) as kept:
        assert found.step - 1 in (
            int(kept["step"]),
            int(kept["step"]) - 1,
        )  # that step, or the one that spoilt the weights
    assert found.broken
    assert found.stages["inputs"][0]
    assert ("features" in found.stages) == (strategy != "weight")  # the first phases train a head on features
    assert "learning rate" in found.remedy
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_the_command_replays_a_fine_tuning(parts, tmp_path) -> None:
    run = tune(parts, tmp_path / "run", "weight", **{"train.learning_rate": 1e30})
    done = CliRunner().invoke(cli, ["replay", str(run.path), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["broken"]
    assert [stage["name"] for stage in said["stages"]][:2] == ["inputs", "weights"]


def test_other_data_and_a_run_that_went_well_are_refused(parts, tmp_path) -> None:
    run = tune(parts, tmp_path / "run", "weight", **{"train.learning_rate": 1e30, "train.epochs": 1})
    described = json.loads((run.path / runfolder.ENVIRONMENT).read_text())
    described["data"]["fingerprint"] = "another"
    (run.path / runfolder.ENVIRONMENT).write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"the data of .* changed since the run"):
        replay(run.path)
    (run.path / runfolder.NAN_BATCH).unlink()
    with pytest.raises(InputError, match=r"has no nan_batch\.npz"):
        replay(run.path)
