"""A candidate measured by the real worker, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kptk.config import resolve
from kptk.errors import RunError
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.training.planning.measuring import measure_candidate

SMALL = (Setting("backbone.filters", 4), Setting("backbone.units", 8), Setting("train.epochs", 2))


def config(path: Path, *settings: Setting):
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.integers(0, 256, (96, 8, 8, 1)).astype("uint8"))
    request = Request(recipe="contrastive", data=str(path), settings=(*SMALL, *settings))
    return resolve(Plugins(), request)


def test_a_candidate_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = measure_candidate(config(tmp_path / "d.npz"), (32, 16), growth=False)
    assert [point["batch_size"] for point in found.points] == [16, 32]
    assert found.rows == 96 and found.views == 2
    # By hand: 6 x 6 places of 3 x 3 kernels for 4 filters, pooled to 3 x 3, and 36 inputs to 8 units.
    assert found.flops == 2 * (6 * 6 * 9 * 4 + 36 * 8)
    assert found.parameters == 4 * 9 + 4 + 36 * 8 + 8
    for point in found.points:
        assert 0 < point["step_seconds"] < 10 and 0 < point["cpu_seconds"] < 10
        assert 100 < point["peak_mb"] < 8000  # of a whole process with its backend
    assert found.points[0]["peak_mb"] <= found.points[1]["peak_mb"]
    assert found.fixed_seconds > 0.5
    assert found.seconds(16, 2) > found.fixed_seconds


def test_a_candidate_that_cannot_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="fewer than one batch of 500"):
        measure_candidate(config(tmp_path / "d.npz"), (500, 600), growth=False)
