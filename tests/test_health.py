"""Collapse, no learning and divergence are told apart; healthy runs are left alone."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from kptk.training import backend

backend.import_keras()

from kptk.training.health import HealthCallback, effective_rank, feature_spread, finite_weights, judge

MOVING = {"loss_measures_learning": False}
"""An objective whose loss is compared with something that moves too."""


def test_spread_is_one_on_the_sphere_and_zero_at_a_point() -> None:
    rng = np.random.default_rng(0)
    assert feature_spread(rng.normal(size=(2000, 64))) == pytest.approx(1.0, abs=0.02)
    assert feature_spread(np.ones((100, 64)) * 3) == pytest.approx(0.0, abs=1e-6)
    assert feature_spread(np.zeros((100, 64))) == 0.0


def test_effective_rank_counts_directions() -> None:
    rng = np.random.default_rng(0)
    for rank in (1, 4, 16):
        basis = np.linalg.qr(rng.normal(size=(64, rank)))[0]
        coordinates = np.linalg.qr(rng.normal(size=(500, rank)))[0]  # equal singular values
        assert effective_rank(coordinates @ basis.T) == pytest.approx(rank, rel=0.01)
    assert effective_rank(np.zeros((10, 4))) == 0.0


@pytest.mark.parametrize(
    ("figures", "status"),
    [
        ({"first_loss": 6.2, "losses": [5.0, 4.1], "spread": 0.7, "rank": 40.0}, "healthy"),
        ({"first_loss": 6.2, "losses": [6.19, 6.2], "spread": 0.7, "rank": 40.0}, "not learning"),
        ({"first_loss": 6.2, "losses": [5.0, 4.0], "spread": 0.01, "rank": 40.0}, "collapsed"),
        ({"first_loss": 6.2, "losses": [5.0, 4.0], "spread": 0.4, "rank": 1.1}, "collapsed"),
        ({"first_loss": 6.2, "losses": [5.0, math.nan], "spread": 0.4, "rank": 10.0}, "diverged"),
        ({"first_loss": 6.2, "losses": [5.0, 4.0], "spread": math.nan, "rank": math.nan}, "diverged"),
        ({"first_loss": 6.2, "losses": [5.0, 4.1], "spread": 0.7, "rank": 40.0, "moved": False}, "not learning"),
        ({"first_loss": 2.0, "losses": [5.0, 6.1], "spread": 0.7, "rank": 40.0, **MOVING}, "healthy"),
        (
            {"first_loss": 2.0, "losses": [5.0, 6.1], "spread": 0.7, "rank": 40.0, "moved": False, **MOVING},
            "not learning",
        ),
        ({"first_loss": 2.0, "losses": [5.0, 6.1], "spread": 0.01, "rank": 40.0, **MOVING}, "collapsed"),
        ({"first_loss": 2.0, "losses": [5.0, math.nan], "spread": 0.7, "rank": 40.0, **MOVING}, "diverged"),
        ({"first_loss": 2.0, "losses": [5.0], **MOVING}, "healthy"),
        ({"first_loss": -0.1, "losses": [-0.5]}, "healthy"),
        ({"first_loss": math.nan, "losses": []}, "diverged"),
    ],
)
def test_verdict(figures, status) -> None:
    verdict = judge(chance=6.24, **figures)
    assert verdict.status == status
    assert verdict.healthy == (status == "healthy")
    assert verdict.sentence.endswith(".")


def test_a_loss_that_measures_nothing_is_not_called_learning() -> None:
    verdict = judge(first_loss=2.0, losses=[6.0], chance=7.0, spread=0.7, rank=40.0, **MOVING)
    assert "does not measure learning" in verdict.sentence
    assert "is learning" not in verdict.sentence


def test_weights_that_are_no_numbers_are_seen_behind_a_relu() -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    assert finite_weights(model)
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, bias])
    assert not finite_weights(model)
    callback = HealthCallback(np.ones((8, 4), "float32"))
    callback.set_model(SimpleNamespace(backbone=model, views=None, health_inputs=lambda x: x))
    assert all(math.isnan(value) for value in callback.measure().values())
