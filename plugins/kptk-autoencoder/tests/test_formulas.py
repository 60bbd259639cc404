"""Each formula against NumPy written from its paper, value and gradient, and other programs' numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk.testing.gradients import value_and_gradients
from kptk_autoencoder import corruption, layerwise, reconstruction, sparse, super_resolution, variational
from kptk_autoencoder.depth_to_space import DepthToSpace

ORACLE = Path(__file__).parent / "data" / "pixel_shuffle_oracle.npz"


def numbers(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def tensor(array: np.ndarray):
    return ops.convert_to_tensor(np.asarray(array, "float32"))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def entropy(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    return -x * np.log(p) - (1 - x) * np.log(1 - p)


def of_mean(error, targets: np.ndarray) -> float:
    return error(np.broadcast_to(targets.mean(axis=0), targets.shape), targets).mean()


# (formula of tensors, the same in NumPy): raw is the decoder's output, x the clean input.
REFERENCES = {
    "mse": (lambda r, x: ops.mean(reconstruction.squared_error(r, x)), lambda r, x: ((r - x) ** 2).mean()),
    "l1": (lambda r, x: ops.mean(reconstruction.absolute_error(r, x)), lambda r, x: np.abs(r - x).mean()),
    "cross_entropy": (
        lambda r, x: ops.mean(reconstruction.cross_entropy(r, x)),
        lambda r, x: entropy(x, sigmoid(r)).mean(),
    ),
    "bernoulli_nll": (
        lambda r, x: ops.mean(variational.bernoulli_nll(r, x)),
        lambda r, x: entropy(x, sigmoid(r)).reshape(len(x), -1).sum(axis=1).mean(),
    ),
    "gaussian_nll": (
        lambda r, x: ops.mean(variational.gaussian_nll(r, x, 0.3)),
        lambda r, x: np.mean(
            [
                -sum(
                    math.log(math.exp(-((a - b) ** 2) / 0.18) / math.sqrt(2 * math.pi * 0.09))
                    for a, b in zip(p.ravel(), q.ravel(), strict=True)
                )
                for p, q in zip(r, x, strict=True)
            ]
        ),
    ),
    "squared_share": (
        layerwise.squared_share,
        lambda r, x: ((r - x) ** 2).mean() / of_mean(lambda m, t: (m - t) ** 2, x),
    ),
    "cross_entropy_share": (
        layerwise.cross_entropy_share,
        lambda r, x: entropy(x, sigmoid(r)).mean() / of_mean(lambda m, t: entropy(t, m), x),
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_gradient_equal_the_formula(name: str) -> None:
    ours, reference = REFERENCES[name]
    rng = np.random.default_rng(0)
    raw, targets = rng.normal(size=(4, 3, 2, 1)), rng.uniform(0.05, 0.95, (4, 3, 2, 1))
    value, (gradient, _) = value_and_gradients(ours, raw, targets)
    assert value == pytest.approx(reference(raw, targets), rel=2e-5)
    for index in np.ndindex(raw.shape):
        step = np.zeros_like(raw)
        step[index] = 1e-5
        slope = (reference(raw + step, targets) - reference(raw - step, targets)) / 2e-5
        assert gradient[index] == pytest.approx(slope, rel=2e-3, abs=1e-5)


def test_cross_entropy_is_finite_for_certain_and_wrong_logits() -> None:
    value, (gradient, _) = value_and_gradients(
        lambda r, x: ops.mean(reconstruction.cross_entropy(r, x)), np.array([[500.0, -500.0]]), np.array([[0.0, 1.0]])
    )
    assert value == pytest.approx(500.0)
    np.testing.assert_allclose(gradient, [[0.5, -0.5]], atol=1e-6)


def test_kl_equals_the_integral() -> None:
    means, deviations = np.array([[0.3, -1.2]]), np.array([[0.5, 1.7]])
    grid = np.linspace(-15, 15, 20001)
    wanted = 0.0
    for m, s in zip(means[0], deviations[0], strict=True):
        q = np.exp(-((grid - m) ** 2) / (2 * s**2)) / (s * math.sqrt(2 * math.pi))
        p = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
        wanted += np.sum(q * (np.log(q + 1e-300) - np.log(p + 1e-300))) * (grid[1] - grid[0])
    value, (by_mean, by_log_variance) = value_and_gradients(
        lambda m, v: ops.sum(variational.kl_to_standard_normal(m, v)), means, 2 * np.log(deviations)
    )
    assert value == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_allclose(by_mean, means, rtol=1e-5)  # d/dm of m²/2
    np.testing.assert_allclose(by_log_variance, (deviations**2 - 1) / 2, rtol=1e-5)
    assert float(numbers(variational.kl_to_standard_normal(ops.zeros((1, 3)), ops.zeros((1, 3))))[0]) == 0


def test_keep_largest_keeps_k_and_only_they_get_gradients() -> None:
    features = np.array([[3.0, -1.0, 2.0, 0.5], [-4.0, -2.0, -3.0, -1.0]])
    weights = ops.convert_to_tensor([[1.0, 2.0, 3.0, 4.0]], "float32")
    kept = numbers(sparse.keep_largest(ops.convert_to_tensor(features, "float32"), 2))
    np.testing.assert_allclose(kept, [[3, 0, 2, 0], [0, -2, 0, -1]])
    _, (gradient,) = value_and_gradients(lambda f: ops.sum(sparse.keep_largest(f, 2) * weights), features)
    np.testing.assert_allclose(gradient, [[1, 0, 3, 0], [0, 2, 0, 4]])


@pytest.mark.parametrize(("source", "target"), [(28, 7), (7, 28), (28, 10), (5, 2), (3, 3)])
def test_area_weights_average_what_a_pixel_covers(source: int, target: int) -> None:
    weights = super_resolution.area_weights(source, target)
    fine = 1000  # by brute force: a thousand points in each target pixel
    points = (np.arange(target * fine) + 0.5) / (target * fine) * source
    wanted = np.zeros((target, source))
    np.add.at(wanted, (np.arange(target * fine) // fine, points.astype(int)), 1 / fine)
    np.testing.assert_allclose(weights, wanted, atol=2e-3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_coarsen_is_the_mean_of_blocks_repeated() -> None:
    images = np.random.default_rng(0).random((2, 8, 12, 3)).astype("float32")
    blocks = images.reshape(2, 2, 4, 3, 4, 3).mean(axis=(2, 4))
    wanted = blocks.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(numbers(super_resolution.coarsen(images, 4)), wanted, rtol=1e-5)


def test_depth_to_space_equals_tensorflow() -> None:
    with np.load(ORACLE, allow_pickle=False) as arrays:
        (case,) = json.loads(str(arrays["meta"]))
        given, wanted = arrays[f"{case['id']}|in|x"], arrays[f"{case['id']}|out|y"]
    np.testing.assert_array_equal(numbers(DepthToSpace(2)(given)), wanted)


@pytest.mark.parametrize("shape", [(64, 16, 16, 3), (64, 500)])
def test_corruptions_hit_as_many_places_as_told(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).uniform(0.2, 0.8, shape).astype("float32")
    masked = numbers(corruption.corrupt(tensor(x), "mask", 0.25, 1))
    hit = masked != x
    assert hit.mean() == pytest.approx(0.25, abs=0.02)
    assert (masked[hit] == 0).all()
    salted = numbers(corruption.corrupt(tensor(x), "salt_pepper", 0.3, 1))
    hit = salted != x
    assert hit.mean() == pytest.approx(0.3, abs=0.02)
    assert set(np.unique(salted[hit])) == {0.0, 1.0}
    assert salted[hit].mean() == pytest.approx(0.5, abs=0.02)
    noise = numbers(corruption.corrupt(tensor(x), "gaussian", 0.2, 1)) - x
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert abs(noise.mean()) < 0.01
    if len(shape) == 4:  # all channels of a pixel together
        assert np.array_equal(masked.any(axis=-1), masked.all(axis=-1))
    assert np.array_equal(masked, numbers(corruption.corrupt(tensor(x), "mask", 0.25, 1)))
    assert not np.array_equal(masked, numbers(corruption.corrupt(tensor(x), "mask", 0.25, 2)))


def test_shares_are_one_for_the_mean_and_zero_for_perfect() -> None:
    x = np.random.default_rng(3).integers(0, 2, (50, 6)).astype("float32")
    mean = np.broadcast_to(x.mean(axis=0), x.shape)
    logits = np.log(mean / (1 - mean))
    assert float(numbers(layerwise.squared_share(tensor(mean), tensor(x)))) == pytest.approx(1.0, rel=1e-4)
    assert float(numbers(layerwise.squared_share(tensor(x), tensor(x)))) == 0
    assert float(numbers(layerwise.cross_entropy_share(tensor(logits), tensor(x)))) == pytest.approx(1.0, rel=1e-4)
    assert float(numbers(layerwise.cross_entropy_share(tensor(50 * (2 * x - 1)), tensor(x)))) == pytest.approx(
        0.0, abs=1e-6
    )
    one = float(numbers(layerwise.squared_share(ops.zeros((1, 6)), tensor(x[:1] + 0.5))))
    assert 0 < one < 1e3  # one example is its own mean; it is compared with the mean of its numbers
