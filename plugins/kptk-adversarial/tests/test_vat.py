"""VAT: the divergence against its formula, and the power method against eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk.testing.gradients import value_and_gradients
from kptk_adversarial.vat import kl_divergence, similarity_logits, virtual_direction

RNG = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def test_divergence_equals_its_formula_and_gradient() -> None:
    a, b = RNG.normal(size=(2, 5, 7)) * 3
    p, q = softmax(a), softmax(b)
    value, (_, gradient) = value_and_gradients(kl_divergence, a, b)
    assert value == pytest.approx((p * np.log(p / q)).sum(axis=1).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, (q - p) / len(a), atol=1e-6)  # d KL / d logits of q


def test_divergence_of_the_same_is_zero_and_of_certain_ones_finite() -> None:
    logits = RNG.normal(size=(4, 6))
    assert value_and_gradients(kl_divergence, logits, logits)[0] == pytest.approx(0, abs=1e-6)
    value, gradients = value_and_gradients(kl_divergence, 200 * np.eye(4), np.zeros((4, 4)))
    assert value == pytest.approx(np.log(4), rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_similarities_are_cosines_over_the_temperature() -> None:
    z, keys = RNG.normal(size=(3, 5)), RNG.normal(size=(4, 5))
    cosine = (z / np.linalg.norm(z, axis=1, keepdims=True)) @ (keys / np.linalg.norm(keys, axis=1, keepdims=True)).T
    got = ops.convert_to_numpy(similarity_logits(z.astype("float32"), keys.astype("float32"), 0.2))
    np.testing.assert_allclose(got, cosine / 0.2, rtol=1e-4, atol=1e-5)


def curvature(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Hessian of KL(p(x) || p(x + r)) at r = 0 for a linear classifier: the Fisher information of its inputs."""
    p = softmax(x @ kernel)
    return np.stack([kernel @ (np.diag(row) - np.outer(row, row)) @ kernel.T for row in p])


def direction(model, x, start, iterations: int, xi: float = 0.1) -> np.ndarray:
    found = virtual_direction(
        model, ops.convert_to_tensor(x), ops.convert_to_tensor(start), model, xi=xi, iterations=iterations
    )
    return np.asarray(ops.convert_to_numpy(found))


def linear():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])


def test_power_method_finds_the_direction_of_largest_curvature() -> None:
    model, x = linear(), RNG.normal(size=(5, 6)).astype("float32")
    matrices = curvature(x.astype("float64"), np.asarray(ops.convert_to_numpy(model.weights[0])))
    start = RNG.normal(size=x.shape).astype("float32")
    random = start / np.linalg.norm(start, axis=1, keepdims=True)
    once, often = direction(model, x, start, 1), direction(model, x, start, 40)
    largest = np.linalg.eigvalsh(matrices)[:, -1]
    at_random, after_one, after_many = (np.einsum("ni,nij,nj->n", d, matrices, d) for d in (random, once, often))
    assert (after_one > at_random).all()
    assert (after_many > 0.97 * largest).all()
    np.testing.assert_allclose(np.linalg.norm(once, axis=1), 1, rtol=1e-4)


def test_a_probe_as_short_as_in_the_paper_is_rounding_error_in_float32() -> None:
    """Why the default of `xi` is not the paper's 1e-6."""
    model, x = linear(), RNG.normal(size=(64, 6)).astype("float32")
    matrices = curvature(x.astype("float64"), np.asarray(ops.convert_to_numpy(model.weights[0])))
    start = RNG.normal(size=x.shape).astype("float32")
    exact = np.einsum("nij,nj->ni", matrices, start.astype("float64"))
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    agreement = [(exact * direction(model, x, start, 1, xi)).sum(axis=1).mean() for xi in (0.1, 1e-6)]
    assert agreement[0] > 0.99 > agreement[1] + 0.02


def test_leaves_images_of_any_rank_and_zero_gradients_finite() -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.set_weights([np.zeros((16, 3), "float32"), np.zeros(3, "float32")])  # nothing changes the distribution
    x = np.ones((2, 4, 4, 1), "float32")
    found = direction(model, x, x, 1)
    assert found.shape == x.shape
    assert np.isfinite(found).all()
