"""Corruptions: each does what its name says, as strongly as the published tables say, within 0..1."""

from __future__ import annotations

import numpy as np
import pytest

from kptk import settings
from kptk.training.corrupt import CORRUPTIONS, LEVELS, corrupt

RNG = np.random.default_rng(0)
COLOUR = RNG.uniform(0.2, 0.8, (4, 32, 32, 3)).astype("float32")
GREY = RNG.uniform(0.2, 0.8, (4, 28, 28, 1)).astype("float32")
FLAT = np.full((2, 96, 96, 3), 0.5, "float32")


def test_names_are_one_list() -> None:
    assert tuple(CORRUPTIONS) == tuple(LEVELS) == settings.CORRUPTIONS
    assert all(len(levels) == 5 for pair in LEVELS.values() for levels in pair)


@pytest.mark.parametrize("images", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", settings.CORRUPTIONS)
def test_stronger_is_further_away_and_stays_in_range(name: str, images: np.ndarray) -> None:
    before = images.copy()
    distance = []
    for severity in (1, 3, 5):
        changed = corrupt(images, name, severity, seed=1)
        assert changed.shape == images.shape
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        distance.append(float(np.abs(changed - images).mean()))
    assert distance[0] < distance[1] < distance[2]
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(corrupt(images, name, 2, seed=1), corrupt(images, name, 2, seed=1))


def test_the_formulas() -> None:
    noise = corrupt(FLAT, "gaussian_noise", 1) - 0.5
    assert noise.std() == pytest.approx(0.08, rel=0.03)  # ImageNet-C's first, since 96 pixels are not few
    hit = corrupt(FLAT, "impulse_noise", 2)
    assert np.isin(hit[hit != 0.5], [0, 1]).all()
    assert (hit != 0.5).mean() == pytest.approx(0.06, rel=0.1)
    small = corrupt(COLOUR, "contrast", 4)
    mean = COLOUR.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(small, (COLOUR - mean) * 0.3 + mean, rtol=1e-5)
    bright = corrupt(COLOUR, "brightness", 2)
    np.testing.assert_allclose(bright.max(axis=-1), np.minimum(COLOUR.max(axis=-1) + 0.1, 1), atol=1e-5)
    np.testing.assert_allclose(corrupt(GREY, "brightness", 2), np.minimum(GREY + 0.1, 1), atol=1e-6)
    point = np.zeros((1, 33, 33, 1), "float32")
    point[0, 16, 16] = 1
    blurred = corrupt(point, "gaussian_blur", 5)[0, :, :, 0]
    assert blurred.sum() == pytest.approx(1, rel=1e-3)
    spread = (blurred * (np.arange(33) - 16) ** 2).sum()
    assert spread == pytest.approx(1.0, rel=0.05)  # one pixel of standard deviation
