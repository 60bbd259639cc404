"""CLIP's, SigLIP's and the matching loss against NumPy references written from the papers, and against transformers."""

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
from kptk_image_text.losses import clip_loss, matching_loss, same_texts, siglip_loss

ORACLES = Path(__file__).parent / "data" / "clip_oracles.npz"


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clip_reference(image: np.ndarray, text: np.ndarray, scale: float) -> float:
    """Figure 3 of the CLIP paper, row by row."""
    logits = scale * unit(image) @ unit(text).T
    rows = [math.log(np.exp(row).sum()) - row[place] for place, row in enumerate(logits)]
    columns = [math.log(np.exp(column).sum()) - column[place] for place, column in enumerate(logits.T)]
    return (np.mean(rows) + np.mean(columns)) / 2


def siglip_reference(image: np.ndarray, text: np.ndarray, scale: float, bias: float) -> float:
    """Algorithm 1 of the SigLIP paper, pair by pair."""
    x, y = unit(image), unit(text)
    total = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            z = 1.0 if i == j else -1.0
            total -= math.log(1 / (1 + math.exp(-z * (scale * x[i] @ y[j] + bias))))
    return total / len(x)


def numeric(function, arrays: list[np.ndarray], step: float = 1e-5) -> list[np.ndarray]:
    gradients = []
    for which, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            moved = [[item.copy() for item in arrays] for _ in range(2)]
            moved[0][which][index] += step
            moved[1][which][index] -= step
            gradient[index] = (function(*moved[0]) - function(*moved[1])) / (2 * step)
        gradients.append(gradient)
    return gradients


def pairs(count: int, dim: int = 5, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(2, count, dim)))


def test_clip_equals_the_formula_in_value_and_gradient() -> None:
    image, text = pairs(4)
    value, gradients = value_and_gradients(lambda a, b: clip_loss(a, b, 3.0), image, text)
    assert value == pytest.approx(clip_reference(image, text, 3.0), rel=2e-5)
    for got, wanted in zip(gradients, numeric(lambda a, b: clip_reference(a, b, 3.0), [image, text]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-5)


def test_gradient_of_the_scale_equals_the_formula() -> None:
    image, text = pairs(5, seed=1)
    tensors = [keras.ops.convert_to_tensor(array.astype("float32")) for array in (image, text)]
    _, (gradient,) = value_and_gradients(lambda s: clip_loss(*tensors, s), np.array(2.0))
    wanted = (clip_reference(image, text, 2.001) - clip_reference(image, text, 1.999)) / 0.002
    assert float(gradient) == pytest.approx(wanted, rel=1e-3)


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_clip_equals_transformers(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        image, text = (arrays[f"{case['id']}|in|{name}"] for name in ("image", "text"))
        wanted = {name: arrays[f"{case['id']}|out|{name}"] for name in ("loss", "grad_image", "grad_text")}
    scale = case["params"]["logit_scale"]
    value, gradients = value_and_gradients(lambda a, b: clip_loss(a, b, scale), image, text)
    assert value == pytest.approx(float(wanted["loss"]), rel=5e-5)
    for got, name in zip(gradients, ("grad_image", "grad_text"), strict=True):
        np.testing.assert_allclose(got, wanted[name], rtol=5e-4, atol=5e-5)


def test_siglip_equals_the_formula_in_value_and_gradient() -> None:
    image, text = pairs(4, seed=2)
    for scale, bias in ((10.0, -10.0), (2.0, -1.0)):
        value, gradients = value_and_gradients(
            lambda a, b, scale=scale, bias=bias: siglip_loss(a, b, scale, bias), image, text
        )
        assert value == pytest.approx(siglip_reference(image, text, scale, bias), rel=2e-5)
        wanted = numeric(lambda a, b, s=scale, c=bias: siglip_reference(a, b, s, c), [image, text])
        for got, right in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(got, right, rtol=2e-3, atol=5e-5)


def test_losses_are_at_chance_when_projections_say_nothing() -> None:
    image, text = pairs(64, dim=8192)
    assert value_and_gradients(lambda a, b: clip_loss(a, b, 1.0), image, text)[0] == pytest.approx(
        math.log(64), rel=1e-2
    )
    # A sigmoid that knows only that one pair in N is right: bias = -ln(N - 1).
    chance = math.log(64) + 63 * math.log(64 / 63)
    got = value_and_gradients(lambda a, b: siglip_loss(a, b, 1.0, -math.log(63)), image, text)[0]
    assert got == pytest.approx(chance, rel=1e-2)


def test_same_captions_can_be_left_out_of_the_negatives() -> None:
    ids = np.array([[2, 7, 3, 0], [2, 8, 3, 0], [2, 7, 3, 0], [2, 7, 7, 3]])
    same = keras.ops.convert_to_numpy(same_texts(keras.ops.convert_to_tensor(ids)))
    assert same.tolist() == [[False, False, True, False], [False] * 4, [True, False, False, False], [False] * 4]
    image, text = pairs(4, seed=3)
    text[2] = text[0]
    mask = keras.ops.convert_to_tensor(same)
    got = value_and_gradients(lambda a, b: clip_loss(a, b, 5.0, mask), image, text)[0]
    logits = 5.0 * unit(image) @ unit(text).T
    kept = np.where(same, -np.inf, logits)
    rows = np.log(np.exp(kept).sum(1)) - np.diag(logits)
    columns = np.log(np.exp(kept).sum(0)) - np.diag(logits)
    assert got == pytest.approx((rows.mean() + columns.mean()) / 2, rel=2e-5)
    everything = value_and_gradients(lambda a, b: siglip_loss(a, b, 5.0, -1.0), image, text)[0]
    kept_only = value_and_gradients(lambda a, b: siglip_loss(a, b, 5.0, -1.0, mask), image, text)[0]
    dropped = [math.log1p(math.exp(5.0 * (unit(image) @ unit(text).T)[i, j] - 1.0)) for i, j in ((0, 2), (2, 0))]
    assert everything - kept_only == pytest.approx(sum(dropped) / 4, rel=1e-4)


def test_matching_loss_is_the_mean_cross_entropy_of_what_counts() -> None:
    logits = np.random.default_rng(4).normal(size=(6, 2))
    answers, weights = np.array([1, 1, 0, 0, 0, 0]), np.array([1, 1, 1, 0, 1, 1.0])
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = -np.log(odds[np.arange(6), answers])[weights > 0].mean()

    def loss(a):
        return matching_loss(
            a,
            keras.ops.convert_to_tensor(answers.astype("int32")),
            keras.ops.convert_to_tensor(weights.astype("float32")),
        )

    value, (gradient,) = value_and_gradients(loss, logits)
    assert value == pytest.approx(wanted, rel=1e-5)
    right = (odds - np.eye(2)[answers]) * weights[:, None] / weights.sum()
    np.testing.assert_allclose(gradient, right, rtol=1e-4, atol=1e-6)


def test_one_pair_and_equal_vectors_are_finite() -> None:
    for image, text in (pairs(1), [np.zeros((3, 4)), np.zeros((3, 4))], [np.ones((3, 4)), np.ones((3, 4))]):
        for loss in (lambda a, b: clip_loss(a, b, 100.0), lambda a, b: siglip_loss(a, b, 100.0, -10.0)):
            value, gradients = value_and_gradients(loss, image, text)
            assert math.isfinite(value) and all(np.isfinite(gradient).all() for gradient in gradients)
