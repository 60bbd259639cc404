"""PSNR and SSIM against NumPy, scikit-image and tf.image."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from kptk.testing.gradients import value_and_gradients
from kptk.training.image_quality import psnr, ssim

ORACLES = Path(__file__).parent / "data" / "image_quality_oracles.npz"


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def reference_ssim(x: np.ndarray, y: np.ndarray, size: int = 11) -> float:
    """The paper's equation 13, window by window, of one image without channels."""
    place = np.arange(size) - size // 2
    weights = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for row in range(x.shape[0] - size + 1):
        for column in range(x.shape[1] - size + 1):
            a, b = (image[row : row + size, column : column + size] for image in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            both = (weights * (a - mean_a) * (b - mean_b)).sum()
            top = (2 * mean_a * mean_b + 0.01**2) * (2 * both + 0.03**2)
            values.append(top / ((mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2)))
    return float(np.mean(values))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_equals_other_programs(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        clean, noisy = (arrays[f"{case['id']}|in|{name}"] for name in ("clean", "noisy"))
        wanted = {name: np.atleast_1d(arrays[f"{case['id']}|out|{name}"]) for name in ("psnr", "ssim")}
    clean, noisy = (image[None] if image.ndim == 3 else image for image in (clean, noisy))
    np.testing.assert_allclose(numbers(psnr(clean, noisy)), wanted["psnr"], rtol=1e-5)
    np.testing.assert_allclose(numbers(ssim(clean, noisy)), wanted["ssim"], rtol=1e-4)


@pytest.mark.parametrize(("height", "width", "size"), [(14, 13, 11), (8, 9, 7), (5, 5, 5)])
def test_ssim_is_the_papers_formula_with_the_largest_window_that_fits(height, width, size) -> None:
    rng = np.random.default_rng(height)
    x = rng.random((2, height, width, 3))
    y = np.clip(x + rng.normal(0, 0.2, x.shape), 0, 1)
    wanted = [np.mean([reference_ssim(x[i, ..., c], y[i, ..., c], size) for c in range(3)]) for i in range(2)]
    np.testing.assert_allclose(numbers(ssim(x, y)), wanted, rtol=1e-4)


def test_gradients_equal_finite_differences() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 1, 7, 7, 1))
    _, (gradient, _) = value_and_gradients(lambda a, b: keras.ops.sum(ssim(a, b)), x, y)
    for row, column in ((0, 0), (3, 3), (6, 2)):
        step = np.zeros_like(x)
        step[0, row, column, 0] = 1e-5
        up, down = (reference_ssim((x + sign * step)[0, ..., 0], y[0, ..., 0], 7) for sign in (1, -1))
        assert gradient[0, row, column, 0] == pytest.approx((up - down) / 2e-5, rel=5e-3, abs=1e-5)


def test_known_values() -> None:
    image = np.random.default_rng(2).random((1, 16, 16, 1))
    assert numbers(ssim(image, image))[0] == pytest.approx(1.0, abs=1e-4)
    assert numbers(psnr(image, image))[0] == pytest.approx(100.0)
    black, white = np.zeros((1, 16, 16, 1)), np.ones((1, 16, 16, 1))
    assert numbers(psnr(black, white))[0] == pytest.approx(0.0, abs=1e-6)
    assert numbers(ssim(black, white))[0] == pytest.approx(0.01**2 / (1 + 0.01**2), rel=1e-3)
    # The scale cancels if the largest value is told.
    other = np.clip(image + 0.1, 0, 1)
    assert numbers(psnr(255 * image, 255 * other, 255))[0] == pytest.approx(numbers(psnr(image, other))[0], rel=1e-5)
    assert numbers(ssim(255 * image, 255 * other, 255))[0] == pytest.approx(numbers(ssim(image, other))[0], rel=1e-4)
    assert numbers(psnr(image, image + 0.1))[0] == pytest.approx(-20 * math.log10(0.1), rel=1e-4)
