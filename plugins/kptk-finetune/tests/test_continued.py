"""Continued pre-training: a run goes on with its own configuration on the target's rows, and is then fine-tuned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import kptk
from kptk.cli.main import cli
from kptk.training import backend

pytestmark = pytest.mark.backends


def run(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def weights(path: Path) -> list[np.ndarray]:
    keras = backend.import_keras()
    model = kptk.load_model(path / "backbone.keras", compile=False)
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.weights if "seed" not in v.path]


def test_a_run_goes_on_in_another_domain_and_is_fine_tuned(tmp_path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.integers(0, 100, (60, 8, 8, 1)) + 120 * y[:, None, None, None]).astype("uint8")
    np.savez(tmp_path / "source.npz", x=x, y=y)
    np.savez(tmp_path / "target.npz", x=255 - x)
    source, kept, tuned = tmp_path / "source", tmp_path / "kept", tmp_path / "tuned"
    small = ("-o", "backbone.filters=4", "-o", "backbone.units=8", "-o", "objective.temperature=0.4", "-o", "crop=0.7")
    small = (*small, "--batch-size", 30, "--epochs", 1)
    run("train", "--plugin", "contrastive", "--data", tmp_path / "source.npz", *small, "--out", source)
    again = ("train", "--config", source / "config.toml", "--backbone", source / "backbone.keras")
    # Without a learning rate it ends where it began: at the run's weights, not at fresh ones.
    run(*again, "--data", tmp_path / "target.npz", "-o", "train.learning_rate=0", "--out", kept)
    for old, new in zip(weights(source), weights(kept), strict=True):
        np.testing.assert_array_equal(old, new)
    text = (kept / "config.toml").read_text()
    assert "temperature = 0.4" in text and "crop = 0.7" in text and "target.npz" in text
    task = ("--task", "classification", "--data", tmp_path / "source.npz", "--epochs", 1)
    assert "4 tensors loaded" in run("finetune", kept, *task, "--out", tuned)
    assert json.loads((tuned / "summary.json").read_text())["status"] == "done"
