"""The loss against NumPy, finite differences and PyTorch's number; labels that cannot be meant; accuracy; resume."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "label_smoothing_oracles.npz"


def reference(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """Section 7 of the paper: the cross entropy of q(k) = (1 - e) [k = y] + e / C, example by example."""
    total = 0.0
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        probabilities = np.exp(row) / np.exp(row).sum()
        for k, probability in enumerate(probabilities):
            q = (1 - smoothing) * (k == label) + smoothing / len(row)
            total -= q * math.log(probability)
    return total / len(logits)


def loss(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> tuple[float, np.ndarray]:
    keras = backend.import_keras()
    from kptk.testing.gradients import value_and_gradients
    from kptk_supervised.supervised import smoothed_cross_entropy

    target = keras.ops.convert_to_tensor(labels.astype("int32"))
    value, gradients = value_and_gradients(lambda z: smoothed_cross_entropy(z, target, smoothing), logits)
    return value, gradients[0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_the_formula_with_its_gradient(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    logits, labels = 2 * rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    value, gradient = loss(logits, labels, smoothing)
    assert value == pytest.approx(reference(logits, labels, smoothing), rel=2e-5)
    for index in np.ndindex(5, 4):
        step = np.zeros((5, 4))
        step[index] = 1e-5
        up, down = (reference(logits + sign * step, labels, smoothing) for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=2e-3, abs=1e-5)


def test_equals_pytorch() -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        (case,) = json.loads(str(arrays["meta"]))
        logits, labels, wanted = (arrays[f"{case['id']}|{key}"] for key in ("in|logits", "in|y", "out|loss"))
    assert loss(logits, labels, case["params"]["epsilon"])[0] == pytest.approx(float(wanted), rel=2e-5)


def test_is_at_chance_where_logits_say_nothing_and_finite_where_they_are_huge() -> None:
    labels = np.arange(6) % 3
    assert loss(np.ones((6, 3)), labels, 0.2)[0] == pytest.approx(math.log(3), rel=1e-6)
    value, gradient = loss(np.array([[1e4, -1e4, 0.0]] * 6), labels, 0.0)
    assert math.isfinite(value) and np.isfinite(gradient).all()


def build(**options):
    keras = backend.import_keras()
    import kptk

    keras.utils.set_random_seed(0)
    backbone = kptk.backbone("example_cnn", input_shape=(12, 12, 1), filters=4, units=16)
    model = kptk.objective("supervised", backbone=backbone, **{"num_classes": 3, **options})
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    return model


def data(count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (count, 12, 12, 1)).astype("uint8")
    return images, np.arange(count) % 3


def test_new_model_is_at_chance() -> None:
    from keras import ops

    model = build()
    images, labels = data(48)
    value = float(ops.convert_to_numpy(model.objective_loss(model(images), ops.convert_to_tensor(labels))))
    assert model.chance_loss(48) == pytest.approx(math.log(3))
    assert value == pytest.approx(math.log(3), rel=0.15)


def test_reported_accuracy_is_the_share_of_right_answers() -> None:
    from keras import ops

    keras = backend.import_keras()
    model = build()
    model.views = None  # no randomness: the model sees what we see
    images, labels = data(30)
    images = images / np.float32(255)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    logits = ops.convert_to_numpy(model(images, training=False)["logits"])
    wanted = float((logits.argmax(axis=-1) == labels).mean())
    model.backbone.get_layer("dropout").rate = 0.0
    assert model.fit(images, labels, batch_size=30, verbose=0).history["accuracy"][0] == pytest.approx(wanted)


def test_classifier_shares_the_weights() -> None:
    from keras import ops

    model = build()
    images = data(4)[0] / np.float32(255)
    classifier = model.classifier()
    np.testing.assert_allclose(
        ops.convert_to_numpy(classifier(images)), ops.convert_to_numpy(model.head(model.encode(images))), rtol=1e-5
    )
    assert {id(v) for v in classifier.weights} == {id(v) for v in (*model.backbone.weights, *model.head.weights)}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array(["a", "b"] * 16), "class numbers"),
        (np.arange(32) % 4, "0 to 2"),
        (-np.ones(32), "0 to 2"),
        (np.full(32, 0.5), "class numbers"),
        (np.full(32, np.nan), "class numbers"),
        (np.eye(3)[np.arange(32) % 3], "argmax"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(labels: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build().fit(data()[0], labels, verbose=0)


def test_training_without_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="learns from labels and got none"):
        build().fit(data()[0], verbose=0)


@pytest.mark.parametrize("num_classes", [1, 0, True, 2.0, None])
def test_fewer_than_two_classes_are_refused(num_classes) -> None:
    with pytest.raises(UsageError, match="num_classes"):
        build(num_classes=num_classes)


def test_stopped_and_resumed_ends_bit_for_bit_the_same() -> None:
    from kptk.training import checkpoint

    images, labels = data(64)

    def train(model, steps: range) -> None:
        for step in steps:
            rows = slice(16 * step, 16 * step + 16)
            model.train_on_batch(images[rows], labels[rows])

    whole = build()
    train(whole, range(2))
    state = checkpoint.capture(whole)
    train(whole, range(2, 4))
    resumed = build()
    resumed.optimizer.build(resumed.trainable_variables)
    checkpoint.restore(resumed, state)
    train(resumed, range(2, 4))
    for a, b in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a.value), np.asarray(b.value))
