"""The formulas against NumPy, against finite differences, and against other programs' numbers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

sys.path.insert(0, str(Path(__file__).parent))
from oracles import cases

pytestmark = pytest.mark.backends
RNG = np.random.default_rng(0)


def value_and_gradients(name: str, *inputs: np.ndarray, **arguments):
    backend.import_keras()
    from keras import ops

    from kptk.testing.gradients import value_and_gradients as compute
    from kptk_language import losses

    rest = {key: ops.convert_to_tensor(value) if hasattr(value, "shape") else value for key, value in arguments.items()}
    return compute(lambda *tensors: getattr(losses, name)(*tensors, **rest), *inputs)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(logits, targets, weights) -> float:
    total = sum(
        -float(w) * math.log(softmax(row)[t])
        for row, t, w in zip(logits.reshape(-1, logits.shape[-1]), targets.ravel(), weights.ravel(), strict=True)
    )
    return total / max(float(weights.sum()), 1)


def binary(logits, targets, weights) -> float:
    s = 1 / (1 + np.exp(-logits))
    return float((-(targets * np.log(s) + (1 - targets) * np.log(1 - s)) * weights).sum() / max(weights.sum(), 1))


def ranking(anchors, positives, temperature) -> float:
    a, p = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (anchors, positives))
    return float(-np.mean([math.log(softmax(a[i] @ p.T / temperature)[i]) for i in range(len(a))]))


def soft(student, teacher, weights, temperature) -> float:
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    kl = (p * np.log(p / q)).sum(axis=-1)
    return float(temperature**2 * (kl * weights).sum() / weights.sum())


def distance(student, teacher, mask) -> float:
    pairs = [
        (s, t)
        for s, t, m in zip(
            student.reshape(-1, student.shape[-1]), teacher.reshape(-1, student.shape[-1]), mask.ravel(), strict=True
        )
        if m
    ]
    return float(np.mean([1 - s @ t / np.linalg.norm(s) / np.linalg.norm(t) for s, t in pairs]))


WEIGHTS = np.array([[1, 0, 1], [1, 1, 0]], "float32")
TARGETS = np.array([[0, 3, 1], [4, 2, 2]])
FLAGS = np.array([[0, 1, 1], [1, 0, 0]], "float32")
CASES = {
    "token_cross_entropy": (cross_entropy, [(2, 3, 5)], {"targets": TARGETS, "weights": WEIGHTS}),
    "binary_cross_entropy": (binary, [(2, 3)], {"targets": FLAGS, "weights": WEIGHTS}),
    "in_batch_ranking": (ranking, [(4, 3), (4, 3)], {"temperature": 0.3}),
    "soft_token_targets": (soft, [(2, 3, 5), (2, 3, 5)], {"weights": WEIGHTS, "temperature": 2.0}),
    "cosine_distance": (distance, [(2, 3, 5), (2, 3, 5)], {"mask": WEIGHTS > 0}),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_formula_and_its_finite_differences(name) -> None:
    reference, shapes, arguments = CASES[name]
    inputs = [RNG.normal(size=shape) for shape in shapes]
    value, gradients = value_and_gradients(name, *inputs, **arguments)
    assert value == pytest.approx(reference(*inputs, **arguments), rel=2e-5)
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(shapes[which]):
            changed = [x.copy() for x in inputs]
            ends = []
            for sign in (1, -1):
                changed[which][index] = inputs[which][index] + sign * 1e-5
                ends.append(reference(*changed, **arguments))
            assert gradient[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-3, abs=2e-5)


def test_next_tokens_equal_transformers() -> None:
    for case in cases("causal_lm"):
        ids = case.inputs["ids"]
        value, gradients = value_and_gradients(
            "next_token_loss", case.inputs["logits"], ids=ids, mask=np.ones(ids.shape, bool)
        )
        assert value == pytest.approx(float(case.outputs["loss"]), rel=2e-5)
        assert not gradients[0][:, -1].any()  # nothing comes behind the last


def test_ranking_equals_sentence_transformers() -> None:
    for case in cases("multiple_negatives_ranking"):
        value, _ = value_and_gradients(
            "in_batch_ranking",
            case.inputs["anchor"],
            case.inputs["positive"],
            temperature=1 / case.params["scale"],
        )
        assert value == pytest.approx(float(case.outputs["loss_no_hard"]), rel=2e-5)


def test_soft_targets_equal_torchdistill() -> None:
    for case in cases("kd"):
        student, teacher = case.inputs["student_logits"], case.inputs["teacher_logits"]
        temperature, alpha = case.params["temperature"], case.params["alpha"]
        value, _ = value_and_gradients(
            "soft_token_targets", student, teacher, weights=np.ones(len(student), "float32"), temperature=temperature
        )
        wanted = float(case.outputs["loss"]) - alpha * float(case.outputs["hard_ce"])
        assert (1 - alpha) * value == pytest.approx(wanted, rel=2e-4)


def test_nothing_to_predict_is_no_loss_and_no_gradient() -> None:
    value, gradients = value_and_gradients(
        "token_cross_entropy", RNG.normal(size=(2, 3, 5)), targets=TARGETS, weights=np.zeros((2, 3), "float32")
    )
    assert value == 0.0
    assert not gradients[0].any()
