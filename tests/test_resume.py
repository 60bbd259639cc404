"""A run killed with SIGKILL and resumed ends bit for bit where the uninterrupted run ends."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kptk.testing.fresh import run_warm

pytestmark = pytest.mark.backends

TIMINGS = {"seconds", "images_per_second"}

# Runs `kptk` in a process of its own that kills itself right after a given step, before anything is written for it.
KILLER = """
import os, signal, sys
from kptk.training import backend
backend.import_keras()
from kptk.training.callbacks import ShowProgress
kill_at, how = int(sys.argv.pop(1)), int(sys.argv.pop(1))
step = ShowProgress.on_train_batch_end
def on_train_batch_end(self, batch, logs=None):
    step(self, batch, logs)
    if self.step == kill_at:
        os.kill(os.getpid(), how)
ShowProgress.on_train_batch_end = on_train_batch_end
from kptk.__main__ import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def killer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killer")
    (folder / "kptk_killer.py").write_text(KILLER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


def kptk(*arguments: str, kill_at: int = 0, how: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
    return run_warm("kptk_killer", str(kill_at), str(int(how)), *arguments)


# Both with 4 steps an epoch, 12 in all; dropout, random views and noise make the random state matter.
PLUGINS = {
    "contrastive": ("units=16", "hidden_dim=16", "preprocessor.noise=0.1", "preprocessor.rotation=10"),
    # Two stages with an optimiser each: step 5 is killed just after the checkpoint at the end of the first.
    "layerwise": ("units=16", "depth=2", "batch_norm=true"),
}


@pytest.fixture(scope="module", params=PLUGINS)
def arguments(request, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    images = np.random.default_rng(0).integers(0, 256, (150, 12, 12, 1)).astype("uint8")
    np.savez(folder / "images.npz", x=images, y=np.arange(150) % 3)
    options = (*PLUGINS[request.param], "checkpoint_every=3", f"probe.data={folder}/images.npz")
    return [
        *("train", "--plugin", request.param, "--data", str(folder / "images.npz"), "--epochs", "3"),
        *("--batch-size", "32"),
        *(word for option in options for word in ("-o", option)),
    ]


@pytest.fixture(scope="module")
def uninterrupted(arguments, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    done = kptk(*arguments, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def assert_same_end(run: Path, whole: Path) -> None:
    with np.load(run / "checkpoints/latest.npz") as got, np.load(whole / "checkpoints/latest.npz") as wanted:
        assert set(got.files) == set(wanted.files)
        for name in wanted.files:
            np.testing.assert_array_equal(got[name], wanted[name], err_msg=name)
    records = [
        [
            {key: value for key, value in json.loads(line).items() if key not in TIMINGS}
            for line in file.read_text().splitlines()
        ]
        for file in (run / "metrics.jsonl", whole / "metrics.jsonl")
    ]
    assert records[0] == records[1]
    assert len(records[0]) == 3
    assert [record.get("stage") for record in records[0]] in ([None, None, None], [1, 2, 2])
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (run, whole)]
    for key in ("backbone_checksum", "first_loss", "loss", "status", "knn_accuracy"):
        assert summaries[0][key] == summaries[1][key]


@pytest.mark.parametrize(
    ("kill_at", "why"),
    [
        (1, "before the first checkpoint"),
        (5, "inside the second epoch, after a checkpoint inside the first"),
        (7, "inside an epoch, after a checkpoint inside it"),
        (12, "at the last step"),
    ],
)
def test_killed_and_resumed_ends_as_uninterrupted(arguments, uninterrupted, tmp_path, kill_at, why) -> None:
    del why
    out = tmp_path / "run"
    killed = kptk(*arguments, "--out", str(out), kill_at=kill_at)
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "backbone.keras").exists()
    resumed = kptk("train", "--resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(out, uninterrupted)


def test_terminated_run_writes_a_checkpoint_says_how_to_go_on_and_does(arguments, uninterrupted, tmp_path) -> None:
    out = tmp_path / "run"
    stopped = kptk(*arguments, "--out", str(out), kill_at=6, how=signal.SIGTERM)
    assert stopped.returncode == 1
    assert f"kptk train --resume {out}" in stopped.stderr
    with np.load(out / "checkpoints/latest.npz") as state:
        assert json.loads(str(state["head"]))["step"] == 6
    resumed = kptk("train", "--resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(out, uninterrupted)


def test_resume_refuses_changed_data(arguments, tmp_path) -> None:
    out = tmp_path / "run"
    data = tmp_path / "mine.npz"
    images = np.random.default_rng(1).integers(0, 256, (70, 12, 12, 1)).astype("uint8")
    np.savez(data, x=images)
    words = list(arguments)
    words[words.index("--data") + 1] = str(data)
    assert kptk(*words, "--out", str(out), kill_at=3).returncode == -signal.SIGKILL
    np.savez(data, x=images[::-1])
    refused = kptk("train", "--resume", str(out))
    assert refused.returncode == 2
    assert "changed since the run was started" in refused.stderr
