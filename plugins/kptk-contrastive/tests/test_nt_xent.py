"""NT-Xent against a NumPy reference written from the paper, and against other programs' numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "ntxent_oracles.npz"


def reference(z0: np.ndarray, z1: np.ndarray, temperature: float) -> float:
    """Equation 1 and algorithm 1 of the SimCLR paper, anchor by anchor."""
    z = np.concatenate([z0, z1]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    count = len(z)
    total = 0.0
    for anchor in range(count):
        partner = (anchor + count // 2) % count
        others = [k for k in range(count) if k != anchor]
        denominator = sum(math.exp(z[anchor] @ z[k] / temperature) for k in others)
        total += -math.log(math.exp(z[anchor] @ z[partner] / temperature) / denominator)
    return total / count


def loss(z0: np.ndarray, z1: np.ndarray, temperature: float) -> tuple[float, list[np.ndarray]]:
    backend.import_keras()
    from kptk.testing.gradients import value_and_gradients
    from kptk_contrastive.simclr import nt_xent

    return value_and_gradients(lambda a, b: nt_xent(a, b, temperature), z0, z1)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_equals_the_formula(count: int, temperature: float) -> None:
    rng = np.random.default_rng(count)
    z0, z1 = rng.normal(size=(2, count, 6))
    assert loss(z0, z1, temperature)[0] == pytest.approx(reference(z0, z1, temperature), rel=2e-5, abs=1e-6)


def test_gradient_equals_finite_differences_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    z0, z1 = rng.normal(size=(2, 3, 4))
    _, gradients = loss(z0, z1, 0.3)
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(3, 4):
            step = np.zeros((2, 3, 4))
            step[which][index] = 1e-5
            up, down = (reference(z0 + sign * step[0], z1 + sign * step[1], 0.3) for sign in (1, -1))
            assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=2e-3, abs=1e-5)


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_equals_other_programs(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        z0, z1 = (arrays[f"{case['id']}|in|{name}"] for name in ("z0", "z1"))
        wanted = {name: arrays[f"{case['id']}|out|{name}"] for name in case["outputs"]}
    value, gradients = loss(z0, z1, **case["params"])
    # keras-cv and tf-similarity return the sum of the two directions, not their mean.
    factor = 2.0 if case["method"] == "ntxent_x2" else 1.0
    assert factor * value == pytest.approx(float(wanted["loss"]), rel=5e-5)
    for gradient, name in zip(gradients, ("grad_z0", "grad_z1"), strict=True):
        if name in wanted:
            np.testing.assert_allclose(gradient, wanted[name], rtol=5e-4, atol=1e-6)


def test_is_symmetric_and_does_not_depend_on_length() -> None:
    rng = np.random.default_rng(3)
    z0, z1 = rng.normal(size=(2, 5, 8))
    assert loss(z0, z1, 0.2)[0] == pytest.approx(loss(z1, z0, 0.2)[0], rel=1e-5)
    assert loss(z0, z1, 0.2)[0] == pytest.approx(loss(7 * z0, 0.1 * z1, 0.2)[0], rel=1e-5)


def test_is_at_chance_when_projections_say_nothing() -> None:
    rng = np.random.default_rng(4)
    z0, z1 = rng.normal(size=(2, 256, 4096))  # nearly orthogonal in so many dimensions
    assert loss(z0, z1, 1.0)[0] == pytest.approx(math.log(2 * 256 - 1), rel=1e-3)


def test_zero_projections_are_finite() -> None:
    value, gradients = loss(np.zeros((4, 8)), np.zeros((4, 8)), 0.1)
    assert value == pytest.approx(math.log(7), rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.fixture(scope="module")
def model():
    keras = backend.import_keras()
    import kptk

    keras.utils.set_random_seed(0)
    backbone = kptk.backbone("resnet18", input_shape=(16, 16, 3), width=8)
    return kptk.objective("contrastive", backbone=backbone, temperature=1.0)


def test_loss_at_initialisation_is_near_chance(model) -> None:
    images = np.random.default_rng(0).integers(0, 256, (128, 16, 16, 3)).astype("uint8")
    outputs = model(images, training=True)
    from keras import ops

    value = float(ops.convert_to_numpy(model.objective_loss(outputs, None)))
    chance = model.chance_loss(128)
    assert chance == pytest.approx(math.log(255))
    assert abs(value - chance) < 0.1 * chance


def test_projector_is_not_part_of_the_backbone(model) -> None:
    inside = {id(variable) for variable in model.backbone.variables}
    assert not inside & {id(variable) for variable in model.projector.variables}
    assert model.projector.count_params() > 0
