"""Losses, weights and figures of the tasks against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.data import ArraySource
from kptk.errors import InputError
from kptk.training import backend

pytestmark = pytest.mark.backends


def number(value) -> float:
    keras = backend.import_keras()
    return float(keras.ops.convert_to_numpy(value))


def classification(**options):
    backend.import_keras()
    from kptk_tasks.classification import Classification

    task = Classification(class_names=("a", "b", "c"), row_shape=(4,), **options)
    task.build((None, 5))
    return task


def test_cross_entropy_equals_the_formula_with_smoothing() -> None:
    task = classification(label_smoothing=0.1)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 3)).astype("float32"), np.array([0, 1, 2, 2, 1, 0])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = 0.9 * np.eye(3)[labels] + 0.1 / 3
    assert number(task.loss(labels, logits)) == pytest.approx(-(target * log_p).sum(axis=1).mean(), rel=1e-5)


def test_uniform_logits_are_at_chance_and_missing_rows_do_not_count() -> None:
    task = classification()
    logits = np.zeros((4, 3), "float32")
    assert number(task.loss(np.array([0, 1, 2, 0]), logits)) == pytest.approx(math.log(3), rel=1e-6)
    logits[2:] = np.array([[50.0, 0.0, 0.0]])
    assert number(task.loss(np.array([0, 1, -1, -1]), logits)) == pytest.approx(math.log(3), rel=1e-6)
    assert number(task.loss(np.full(4, -1), logits)) == 0.0


def test_balanced_weights_have_mean_one_over_the_rows() -> None:
    keras = backend.import_keras()
    task = classification(class_weight="balanced")
    labels = np.array([0] * 6 + [1] * 3 + [2] * 1 + [-1] * 5)
    task.adapt(labels)
    weights = keras.ops.convert_to_numpy(task.weights_of_classes.value)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights[labels[labels >= 0]].mean() == pytest.approx(1)


def test_classes_are_matched_by_name_not_by_number() -> None:
    task = classification()
    source = ArraySource(np.zeros((3, 4)), np.array(["c", "b", "c"]))
    assert task.targets(source).tolist() == [2, 1, 2]
    with pytest.raises(InputError, match="class 'd' was not among the 3 classes"):
        task.targets(ArraySource(np.zeros((2, 4)), np.array(["a", "d"])))


def test_regression_predicts_in_the_unit_of_the_targets() -> None:
    keras = backend.import_keras()
    from kptk_tasks.regression import Regression

    task = Regression(row_shape=(4,), outputs=2)
    task.build((None, 5))
    targets = np.array([[10.0, 1.0], [30.0, 3.0], [20.0, 2.0]], "float32")
    task.adapt(targets)
    standard = (targets - targets.mean(axis=0)) / targets.std(axis=0)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(task.activate(keras.ops.convert_to_tensor(standard))), targets, rtol=1e-5
    )
    assert number(task.loss(targets, standard)) == pytest.approx(0, abs=1e-9)
    assert number(task.loss(targets, np.zeros((3, 2), "float32"))) == pytest.approx(1, rel=1e-5)
    assert task.score(targets, targets)["r2"] == 1.0
    assert task.score(targets, np.broadcast_to(targets.mean(axis=0), (3, 2)))["r2"] == pytest.approx(0, abs=1e-7)


def test_regression_reads_numbers_written_as_classes_and_refuses_nan() -> None:
    backend.import_keras()
    from kptk_tasks.regression import Regression

    task = Regression(row_shape=(4,))
    assert task.targets(ArraySource(np.zeros((3, 4)), np.array([7, 3, 7]))).ravel().tolist() == [7, 3, 7]
    with pytest.raises(InputError, match=r"1 of 3 targets are NaN or infinite, first in row 1"):
        task.targets(ArraySource(np.zeros((3, 4)), targets=np.array([1.0, np.nan, 2.0])))
    with pytest.raises(InputError, match="labels are names, such as 'x'"):
        task.targets(ArraySource(np.zeros((2, 4)), np.array(["x", "y"])))
    with pytest.raises(InputError, match=r"task\.outputs=2"):
        task.targets(ArraySource(np.zeros((2, 4)), targets=np.ones((2, 2))))


def test_multi_label_leaves_unknown_labels_out() -> None:
    backend.import_keras()
    from kptk_tasks.multi_label import MultiLabel

    task = MultiLabel(class_names=("p", "q"), row_shape=(4,))
    task.build((None, 5))
    logits = np.array([[0.0, 9.0], [2.0, -3.0]], "float32")
    labels = np.array([[1.0, np.nan], [0.0, 1.0]], "float32")
    sigmoid = 1 / (1 + np.exp(-logits))
    rows = [-math.log(sigmoid[0, 0]), (-math.log(1 - sigmoid[1, 0]) - math.log(sigmoid[1, 1])) / 2]
    assert number(task.loss(labels, logits)) == pytest.approx(np.mean(rows), rel=1e-5)
    with pytest.raises(InputError, match="every label is missing"):
        task.check_labels(np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="0, 1 or NaN"):
        task.check_labels(np.full((3, 2), 2))
    assert task.score(np.array([[0, 1], [1, 0.0]]), np.array([[0.2, 0.9], [0.8, 0.1]])) == {
        "auroc": 1.0,
        "f1": 1.0,
        "accuracy": 1.0,
    }
