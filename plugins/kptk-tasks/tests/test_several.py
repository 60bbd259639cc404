"""Several tasks on one trunk: formulas, missing labels, isolation of the heads, names, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()
numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor

from kptk_tasks.several import Several, parse_columns, weighted


def built(**options) -> Several:
    task = Several(**{"tasks": "shape:3,size:number"} | options)
    task.build((None, 5))
    return task


def test_row_loss_is_cross_entropy_and_squared_error_averaged_over_the_known_tasks() -> None:
    rng = np.random.default_rng(0)
    task = built()
    labels = np.array([[0, 10.0], [2, np.nan], [np.nan, 30.0], [np.nan, np.nan]], "float32")
    task.adapt(labels)
    outputs = rng.normal(size=(4, 4)).astype("float32")
    ce = -log_softmax(outputs[:, :3], axis=1)
    scaled = (np.array([10.0, 30.0]) - 20.0) / 10.0
    wanted = [(ce[0, 0] + (scaled[0] - outputs[0, 3]) ** 2) / 2, ce[1, 2], (scaled[1] - outputs[2, 3]) ** 2, 0.0]
    np.testing.assert_allclose(numpy(task.row_loss(tensor(labels), tensor(outputs))), wanted, rtol=1e-5)
    assert list(numpy(task.known(tensor(labels)))) == [True, True, True, False]


def test_uncertainty_weights_are_the_papers_with_their_gradient() -> None:
    rng = np.random.default_rng(1)
    losses, known = rng.random((6, 3)).astype("float32"), np.ones((6, 3), "float32")
    sigma = np.array([0.3, -0.2, 0.0], "float32")
    value, (gradient,) = value_and_gradients(
        lambda s: keras.ops.mean(weighted(tensor(losses), tensor(known), s)), sigma
    )
    assert value == pytest.approx((0.5 * np.exp(-2 * sigma) * losses + sigma).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, (1 - np.exp(-2 * sigma) * losses.mean(0)) / 3, rtol=1e-4, atol=1e-6)


def test_a_tasks_loss_has_no_gradient_for_another_tasks_head() -> None:
    task = built()
    features = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    kernel, bias = (numpy(weight) for weight in task.head.weights)
    for missing, own in ((1, slice(0, 3)), (0, slice(3, 4))):
        labels = np.ones((6, 2), "float32")
        labels[:, missing] = np.nan
        _, (of_kernel, of_bias) = value_and_gradients(
            lambda k, b, labels=labels: keras.ops.mean(task.row_loss(tensor(labels), tensor(features) @ k + b)),
            kernel,
            bias,
        )
        others = np.ones(4, bool)
        others[own] = False
        assert np.abs(of_kernel[:, own]).max() > 0
        assert not of_kernel[:, others].any() and not of_bias[others].any()


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "gradnorm_features"])
def test_both_tasks_are_learned_together_from_half_of_the_labels_each(weighting) -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    shape, level = rng.integers(0, 3, 192), rng.random(192)
    x = np.zeros((192, 8, 8, 1))
    for index in range(192):
        x[index, :, 3 * shape[index] : 3 * shape[index] + 2] = 100 + 150 * level[index]
    y = np.stack([shape, 1000 + 50 * level], axis=1).astype("float32")
    given = y.copy()
    given[::2, 0], given[1::2, 1] = np.nan, np.nan
    backbone = kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=8, units=32, dropout=0.0)
    task = Several(tasks="shape:3,brightness:number", weighting=weighting, row_shape=(8, 8, 1), name="several")
    model = kptk.finetune("weight", backbone, task=task, preprocessor="plain_images")
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(x.astype("uint8"), given, epochs=40, batch_size=32, verbose=0)
    scores = task.score(y, numpy(model.predictions(x.astype("uint8"))))
    assert scores["shape_accuracy"] > 0.9 and scores["brightness_r2"] > 0.7, scores
    table = task.columns(numpy(model.predictions(x.astype("uint8"))))
    assert list(table) == ["shape", "shape_probability", "brightness"]
    assert 1000 < table["brightness"].mean() < 1050


def test_classes_and_numbers_are_told_apart_by_what_is_in_a_column() -> None:
    y = np.array([[0, 0.5, 3.0, 1.0], [2, 1.5, np.nan, 250.0], [1, 2.5, 1.0, 3.0]])

    source = kptk.ArraySource(np.zeros((3, 2, 2, 1), "uint8"), targets=y)
    assert Several.names_of(source) == ("0:3", "1:number", "2:4", "3:number")


def test_columns_are_read_from_text() -> None:
    assert [(c.name, c.classes, c.outputs) for c in parse_columns("a:2, b ,c:5")] == [
        ("a", 2, slice(0, 2)),
        ("b", 0, slice(2, 3)),
        ("c", 5, slice(3, 8)),
    ]
    with pytest.raises(kptk.UsageError, match="2 or more, or 'number'"):
        parse_columns("a:1")
    with pytest.raises(kptk.UsageError, match="a name of its own"):
        parse_columns("a:2,a:3")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 3)), "one column a task, 2 here"),
        (np.array([[3, 0.0]]), r"whole numbers of 0..2"),
        (np.array([[0.5, 0.0]]), "whole numbers"),
        (np.array([[0, np.inf]]), "infinity"),
        (np.full((2, 2), np.nan), "every label is missing"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(labels, message) -> None:
    with pytest.raises(kptk.InputError, match=message):
        built().check_labels(labels)
