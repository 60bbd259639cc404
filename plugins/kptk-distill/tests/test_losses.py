"""Every loss against NumPy references written from the papers, and against other programs' numbers and gradients."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "distill_oracles.npz"


def value_and_gradients(function, *inputs):
    backend.import_keras()
    from kptk.testing.gradients import value_and_gradients as compute

    return compute(function, *inputs)


def soft(student: np.ndarray, teacher: np.ndarray, temperature: float):
    backend.import_keras()
    from kptk_distill.distill import soft_target_loss

    return value_and_gradients(lambda s, t: soft_target_loss(s, t, temperature), student, teacher)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def soft_reference(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Section 2 of the paper, example by example, in float64."""
    total = 0.0
    for s, t in zip(student.astype(np.float64), teacher.astype(np.float64), strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def numeric(function, array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        up, down = array.astype(np.float64).copy(), array.astype(np.float64).copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def cases(method: str) -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return [case for case in json.loads(str(arrays["meta"])) if case["method"] == method]


def arrays_of(case: dict) -> dict[str, np.ndarray]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return {key.rpartition("|")[2]: arrays[key] for key in arrays.files if key.startswith(f"{case['id']}|")}


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_soft_targets_equal_the_formula_with_its_gradient(temperature: float) -> None:
    student, teacher = 3 * np.random.default_rng(0).normal(size=(2, 4, 5))
    value, (gradient, _) = soft(student, teacher, temperature)
    assert value == pytest.approx(soft_reference(student, teacher, temperature), rel=5e-5)
    wanted = numeric(lambda s: soft_reference(s, teacher, temperature), student)
    np.testing.assert_allclose(gradient, wanted, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("case", cases("kd"), ids=lambda case: case["id"])
def test_the_whole_loss_equals_torchdistill(case: dict) -> None:
    """With targets torchdistill has ``a CE + (1 - a) T^2 KL``; its ``kl_unscaled`` leaves the ``T^2`` out."""
    keras = backend.import_keras()
    from kptk_distill.distill import soft_target_loss
    from kptk_distill.taught import cross_entropy

    got, a, temperature = arrays_of(case), case["params"]["alpha"], case["params"]["temperature"]
    student, teacher = got["student_logits"], got["teacher_logits"]
    labels = keras.ops.convert_to_tensor(got["y"].astype("int32"))

    def whole(s, t):
        return a * cross_entropy(s, labels) + (1 - a) * soft_target_loss(s, t, temperature)

    value, (gradient, _) = value_and_gradients(whole, student, teacher)
    assert value == pytest.approx(float(got["loss"]), rel=2e-5)
    np.testing.assert_allclose(gradient, got["grad_student_logits"], rtol=2e-4, atol=1e-6)
    assert soft(student, teacher, temperature)[0] == pytest.approx(temperature**2 * float(got["kl_unscaled"]), rel=5e-5)
    hard = value_and_gradients(lambda s: cross_entropy(s, labels), student)[0]
    assert hard == pytest.approx(float(got["hard_ce"]), rel=2e-5)


@pytest.mark.parametrize(("temperature", "within"), [(50.0, 0.04), (200.0, 0.01)])
def test_gradient_tends_to_centred_differences_as_the_temperature_grows(temperature: float, within: float) -> None:
    """Equation 4 of the paper: with ``T^2``, the gradient of an example tends to ``centred(z_s - z_t) / C``."""
    student, teacher = 3 * np.random.default_rng(1).normal(size=(2, 16, 10))
    _, (gradient, _) = soft(student, teacher, temperature)
    difference = student - teacher
    limit = (difference - difference.mean(axis=-1, keepdims=True)) / 10 / 16
    assert np.linalg.norm(gradient - limit) < within * np.linalg.norm(limit)


def test_soft_targets_agree_with_keras_where_keras_does_not_clip() -> None:
    """And not with its default ``loss="kl_divergence"``, which in Keras 3.15.1 is applied to the logits themselves."""
    keras = backend.import_keras()
    student, teacher = 3 * np.random.default_rng(2).normal(size=(2, 4, 5)).astype("float32")
    theirs = keras.distillation.LogitsDistillation(temperature=4.0, loss=keras.losses.KLDivergence())
    wanted = float(
        keras.ops.convert_to_numpy(theirs.compute_loss(*map(keras.ops.convert_to_tensor, (teacher, student))))
    )
    assert soft(student, teacher, 4.0)[0] == pytest.approx(wanted, rel=1e-4)


def test_a_confidently_wrong_student_gets_a_gradient() -> None:
    value, (gradient, _) = soft(np.array([[60.0, 0.0]]), np.array([[0.0, 60.0]]), 1.0)
    assert value == pytest.approx(60, rel=1e-4)
    np.testing.assert_allclose(gradient, [[1.0, -1.0]], atol=1e-5)


def test_hint_equals_the_formula_and_torch() -> None:
    backend.import_keras()
    from kptk_distill.feature_distill import hint_loss

    (case,) = cases("fitnet_hint")
    got = arrays_of(case)
    student, teacher = got["student"], got["teacher"]
    value, (gradient, _) = value_and_gradients(hint_loss, student, teacher)
    assert value == pytest.approx(
        float(np.mean([0.5 * ((s - t) ** 2).sum() for s, t in zip(student, teacher, strict=True)])), rel=2e-5
    )
    # PyTorch's MSELoss is the mean over the numbers too: another scale.
    assert value == pytest.approx(0.5 * student.shape[1] * float(got["loss"]), rel=2e-5)
    np.testing.assert_allclose(gradient, (student - teacher) / len(student), rtol=1e-4, atol=1e-6)


def cosine_reference(student: np.ndarray, teacher: np.ndarray) -> float:
    return float(
        np.mean([1 - s @ t / np.linalg.norm(s) / np.linalg.norm(t) for s, t in zip(student, teacher, strict=True)])
    )


def test_cosine_equals_the_formula_with_its_gradient() -> None:
    backend.import_keras()
    from kptk_distill.feature_distill import cosine_loss

    student, teacher = np.random.default_rng(3).normal(size=(2, 4, 6))
    value, (gradient, _) = value_and_gradients(cosine_loss, student, teacher)
    assert value == pytest.approx(cosine_reference(student, teacher), rel=2e-5)
    np.testing.assert_allclose(gradient, numeric(lambda s: cosine_reference(s, teacher), student), rtol=2e-3, atol=1e-5)
    value, (gradient, _) = value_and_gradients(cosine_loss, np.zeros((4, 6)), teacher)
    assert math.isfinite(value) and np.isfinite(gradient).all()


def huber(x: float, y: float) -> float:
    return 0.5 * (x - y) ** 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def distance_reference(student: np.ndarray, teacher: np.ndarray) -> float:
    """Equations 5 to 8: every ordered pair of different examples."""
    pairs = list(itertools.permutations(range(len(student)), 2))

    def relative(x: np.ndarray) -> list[float]:
        distances = [float(np.linalg.norm(x[i] - x[j])) for i, j in pairs]
        return [distance / np.mean(distances) for distance in distances]

    return float(np.mean([huber(t, s) for t, s in zip(relative(teacher), relative(student), strict=True)]))


def angle_reference(student: np.ndarray, teacher: np.ndarray) -> float:
    """Equations 9 and 10: every ordered triple of different examples."""

    def angle(x: np.ndarray, i: int, j: int, k: int) -> float:
        a, b = x[i] - x[j], x[k] - x[j]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    triples = itertools.permutations(range(len(student)), 3)
    return float(np.mean([huber(angle(teacher, *triple), angle(student, *triple)) for triple in triples]))


@pytest.mark.parametrize("which", ["distance", "angle"])
def test_relations_equal_the_formula_with_its_gradient(which: str) -> None:
    backend.import_keras()
    from kptk_distill import relational_distill

    rng = np.random.default_rng(4)
    # One example far away, so that both branches of the Huber loss are taken.
    student, teacher = rng.normal(size=(5, 3)), rng.normal(size=(5, 4)) + 9 * np.eye(5)[0][:, None]
    ours = getattr(relational_distill, f"{which}_loss")
    reference = {"distance": distance_reference, "angle": angle_reference}[which]
    value, (gradient, _) = value_and_gradients(ours, student, teacher)
    assert value == pytest.approx(reference(student, teacher), rel=1e-4)
    np.testing.assert_allclose(gradient, numeric(lambda s: reference(s, teacher), student), rtol=5e-3, atol=2e-5)


@pytest.mark.parametrize("which", ["distance", "angle"])
def test_relations_do_not_depend_on_place_and_length(which: str) -> None:
    backend.import_keras()
    from kptk_distill import relational_distill

    ours = getattr(relational_distill, f"{which}_loss")
    student, teacher = np.random.default_rng(5).normal(size=(2, 8, 4))
    value = value_and_gradients(ours, student, teacher)[0]
    assert value_and_gradients(ours, 7 * student + 3, teacher)[0] == pytest.approx(value, rel=1e-3)
    assert value_and_gradients(ours, 2 * teacher - 1, teacher)[0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("which", ["distance", "angle"])
def test_relations_of_examples_that_are_all_the_same_are_finite(which: str) -> None:
    backend.import_keras()
    from kptk_distill import relational_distill

    teacher = np.random.default_rng(6).normal(size=(4, 3))
    value, gradients = value_and_gradients(getattr(relational_distill, f"{which}_loss"), np.ones((4, 3)), teacher)
    assert math.isfinite(value) and all(np.isfinite(gradient).all() for gradient in gradients)


def test_huber_has_both_branches() -> None:
    keras = backend.import_keras()
    from kptk_distill.relational_distill import huber as ours

    x, y = np.array([0.0, 0.5, 1.0, 3.0, -4.0]), np.zeros(5)
    got = keras.ops.convert_to_numpy(ours(*map(keras.ops.convert_to_tensor, (x, y))))
    np.testing.assert_allclose(got, [0.0, 0.125, 0.5, 2.5, 3.5], rtol=1e-6)


def test_standardised_features_have_mean_0_and_variance_1_and_dead_ones_are_0() -> None:
    keras = backend.import_keras()
    from kptk_distill.feature_distill import standardised

    features = np.random.default_rng(0).gamma(2.0, 3.0, (64, 5)).astype("float32")
    features[:, 3] = 7.0
    got = keras.ops.convert_to_numpy(standardised(features))
    wanted = (features - features.mean(0)) / np.sqrt(features.var(0) + 1e-5)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got[:, 3], 0, atol=1e-4)


def test_only_the_own_average_is_standardised() -> None:
    keras = backend.import_keras()
    import kptk

    images = np.random.default_rng(0).random((32, 16, 16, 1)).astype("float32")
    student = kptk.backbone("example_cnn", input_shape=(16, 16, 1), filters=4, units=8)
    own = kptk.objective("feature_distill", backbone=student, views=kptk.preprocessor("image_views", views=2))
    wanted = keras.ops.convert_to_numpy(own(images, training=False)["teacher"])
    np.testing.assert_allclose(wanted.mean(0), 0, atol=1e-4)
    teacher = kptk.backbone("example_cnn", input_shape=(16, 16, 1), filters=4, units=8)
    given = kptk.objective(
        "feature_distill", backbone=student, views=kptk.preprocessor("plain_images"), teacher=teacher
    )
    wanted = keras.ops.convert_to_numpy(given(images, training=False)["teacher"])[:32]
    np.testing.assert_allclose(wanted, keras.ops.convert_to_numpy(teacher(images, training=False)), atol=1e-5)
