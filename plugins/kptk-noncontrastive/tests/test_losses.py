"""Each loss against a NumPy reference from its paper, and against other programs' numbers and gradients."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

from kptk.testing.gradients import value_and_gradients
from kptk_noncontrastive.barlow_twins import barlow_twins_loss
from kptk_noncontrastive.byol import byol_loss
from kptk_noncontrastive.cosine import negative_cosine
from kptk_noncontrastive.dino import dino_loss, moved_centre
from kptk_noncontrastive.simsiam import simsiam_loss
from kptk_noncontrastive.vicreg import covariance, invariance, variance, vicreg_loss

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "noncontrastive_oracles.npz"
WEIGHTS = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def value_and_all_gradients(function, *inputs) -> tuple[float, list[np.ndarray]]:
    """Like `value_and_gradients`, with zeros for inputs that no gradient reaches."""
    return value_and_gradients(lambda *tensors: function(*tensors) + 0 * sum(map(keras.ops.sum, tensors)), *inputs)


def value(function, *inputs) -> float:
    return value_and_all_gradients(function, *inputs)[0]


def cosine_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def reference_barlow(z0: np.ndarray, z1: np.ndarray, weight: float) -> float:
    """Equations 1 and 2, number by number."""
    z0, z1 = ((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) for z in (z0, z1))
    total = 0.0
    for i in range(z0.shape[1]):
        for j in range(z1.shape[1]):
            correlation = (z0[:, i] * z1[:, j]).mean()
            total += (1 - correlation) ** 2 if i == j else weight * correlation**2
    return total


def reference_vicreg(z0: np.ndarray, z1: np.ndarray) -> float:
    """Equations 1 to 6 with the weights 25, 25 and 1."""
    dim = z0.shape[1]
    agreement = ((z0 - z1) ** 2).mean()
    spread, shared = [], []
    for z in (z0, z1):
        matrix = np.cov(z, rowvar=False, ddof=1).reshape(dim, dim)
        spread.append(np.maximum(0, 1 - np.sqrt(np.diag(matrix) + 1e-4)).mean())
        shared.append((matrix[~np.eye(dim, dtype=bool)] ** 2).sum() / dim)
    return 25 * agreement + 25 * np.mean(spread) + sum(shared)


def reference_dino(student, teacher, centre, temperature: float, teacher_temperature: float) -> float:
    """Algorithm 1: every pair of different views, one at a time."""

    def softmax(logits: np.ndarray) -> np.ndarray:
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return raised / raised.sum(axis=-1, keepdims=True)

    terms = [
        -(softmax((g - centre) / teacher_temperature) * np.log(softmax(s / temperature))).sum(axis=-1).mean()
        for t, g in enumerate(teacher)
        for i, s in enumerate(student)
        if i != t
    ]
    return float(np.mean(terms))


@pytest.mark.parametrize(("rows", "dim"), [(2, 3), (5, 4), (9, 6)])
def test_two_view_losses_equal_their_formulas(rows, dim) -> None:
    p0, p1, z0, z1 = random(4, rows, dim, seed=rows)
    both = cosine_rows(p0, z1).mean(), cosine_rows(p1, z0).mean()
    assert value(simsiam_loss, p0, p1, z0, z1) == pytest.approx(-np.mean(both), rel=1e-5, abs=1e-6)
    assert value(byol_loss, p0, p1, z0, z1) == pytest.approx(4 - 2 * sum(both), rel=1e-5)
    assert value(lambda a, b: barlow_twins_loss(a, b, 0.005), z0, z1) == pytest.approx(
        reference_barlow(z0, z1, 0.005), rel=1e-4
    )
    assert value(lambda a, b: vicreg_loss(a, b, **WEIGHTS), z0, z1) == pytest.approx(reference_vicreg(z0, z1), rel=1e-4)


def test_the_terms_of_vicreg_alone() -> None:
    z = np.array([[1.0, 10.0], [-1.0, -10.0], [1.0, 10.0], [-1.0, -10.0]])
    assert value(invariance, z, z + 2) == pytest.approx(4.0, rel=1e-5)
    assert value(variance, z * 0.3) == pytest.approx(0.5 * (1 - math.sqrt(0.09 * 4 / 3 + 1e-4)), rel=1e-4)
    assert value(variance, z) == pytest.approx(0.0, abs=1e-6)
    assert value(covariance, z) == pytest.approx((40 / 3) ** 2, rel=1e-4)  # twice off the diagonal, over two numbers


@pytest.mark.parametrize("views", [2, 3, 6])
def test_dino_equals_its_algorithm_for_any_number_of_views(views) -> None:
    student, teacher, centre = random(views, 3, 5), random(2, 3, 5, seed=1), random(5, seed=2)
    got = value(lambda s, t, c: dino_loss(s, t, c, temperature=0.1, teacher_temperature=0.07), student, teacher, centre)
    assert got == pytest.approx(reference_dino(student, teacher, centre, 0.1, 0.07), rel=1e-4)


def test_dino_never_compares_a_view_with_itself() -> None:
    student, teacher = random(2, 3, 5), random(2, 3, 5, seed=1)

    def loss(s, t):
        return dino_loss(s, t, np.zeros(5, "float32"), temperature=0.1, teacher_temperature=0.07)

    _, gradients = value_and_all_gradients(loss, student, teacher)
    moved = teacher.copy()
    moved[0] += 3 * random(3, 5, seed=4)
    _, others = value_and_all_gradients(loss, student, moved)
    np.testing.assert_allclose(gradients[0][0], others[0][0], rtol=1e-5)  # student 0 hears of teacher 1 only
    assert np.abs(gradients[0][1] - others[0][1]).max() > 1e-3


def no_gradient(function, inputs, which: tuple[int, ...]) -> None:
    _, gradients = value_and_all_gradients(function, *inputs)
    for index, gradient in enumerate(gradients):
        assert (np.abs(gradient).max() == 0) == (index in which), index


def test_targets_get_no_gradient() -> None:
    vectors = list(random(4, 5, 6))
    no_gradient(simsiam_loss, vectors, (2, 3))
    no_gradient(byol_loss, vectors, (2, 3))
    no_gradient(negative_cosine, vectors[:2], (1,))
    no_gradient(
        lambda s, t, c: dino_loss(s, t, c, temperature=0.1, teacher_temperature=0.07),
        [random(3, 4, 5), random(2, 4, 5), random(5)],
        (1, 2),
    )


def cases(method: str) -> list:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        found = [case for case in json.loads(str(arrays["meta"])) if case["method"] == method]
        for case in found:
            prefix = f"{case['id']}|"
            case.update({key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)})
    return [pytest.param(case, id=case["id"]) for case in found]


def assert_equals_oracle(case: dict, function) -> None:
    got, gradients = value_and_gradients(function, case["in|z0"], case["in|z1"])
    assert got == pytest.approx(float(case["out|loss"]), rel=5e-5)
    for gradient, name in zip(gradients, ("out|grad_z0", "out|grad_z1"), strict=True):
        np.testing.assert_allclose(gradient, case[name], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("case", cases("barlow_twins"))
def test_barlow_twins_equals_another_program(case) -> None:
    assert_equals_oracle(case, lambda a, b: barlow_twins_loss(a, b, case["params"]["lambda_param"]))


@pytest.mark.parametrize("case", cases("vicreg"))
def test_vicreg_equals_another_program(case) -> None:
    names = ("invariance_weight", "lambda_param"), ("variance_weight", "mu_param"), ("covariance_weight", "nu_param")
    weights = {ours: case["params"][theirs] for ours, theirs in names}
    assert_equals_oracle(case, lambda a, b: vicreg_loss(a, b, **weights))


@pytest.mark.parametrize("case", cases("negative_cosine"))
def test_negative_cosine_equals_another_program(case) -> None:
    """Theirs leaves the stop of the gradient to the caller, so only the predictions' gradient can be compared."""
    got, (gradient, _) = value_and_all_gradients(negative_cosine, case["in|z0"], case["in|z1"])
    assert got == pytest.approx(float(case["out|loss"]), rel=5e-5)
    np.testing.assert_allclose(gradient, case["out|grad_z0"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("case", cases("dino"))
def test_dino_and_its_moving_centre_equal_another_program(case) -> None:
    params = case["params"]
    teacher, centre = (case[f"in|{name}"].astype("float32") for name in ("teacher", "center"))

    def loss(student):
        return dino_loss(
            student,
            keras.ops.convert_to_tensor(teacher),
            keras.ops.convert_to_tensor(centre.reshape(-1)),
            temperature=params["student_temp"],
            teacher_temperature=params["teacher_temp"],
        )

    got, (gradient,) = value_and_gradients(loss, case["in|student"])
    assert got == pytest.approx(float(case["out|loss"]), rel=1e-4)
    np.testing.assert_allclose(gradient, case["out|grad_student"], rtol=2e-3, atol=1e-5)
    after = moved_centre(keras.ops.convert_to_tensor(centre.reshape(-1)), teacher, params["center_momentum"])
    wanted = case["out|center_after"].reshape(-1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(after), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: simsiam_loss(a, b, b, a),
        lambda a, b: byol_loss(a, b, b, a),
        lambda a, b: barlow_twins_loss(a, b, 0.005),
        lambda a, b: vicreg_loss(a, b, **WEIGHTS),
    ],
)
def test_constant_projections_are_finite(function) -> None:
    for constant in (0.0, 3.0):
        got, gradients = value_and_gradients(function, np.full((4, 8), constant), np.full((4, 8), constant))
        assert math.isfinite(got)
        assert all(np.isfinite(gradient).all() for gradient in gradients)
