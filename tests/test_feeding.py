"""How arrays and streams reach `fit`: the rows of Keras' own pipeline, without TensorFlow's tuning thread."""

from __future__ import annotations

from typing import Any

import pytest

from kptk.training import backend

keras = backend.import_keras()

import numpy as np

import kptk
from kptk.training.feeding import array_batches, fit_arguments, steady, untuned

on_tensorflow = pytest.mark.skipif(backend.name() != "tensorflow", reason="other backends get what they were given")


def passes(dataset: Any, count: int) -> list[tuple[np.ndarray, ...]]:
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(count)]


@on_tensorflow
def test_an_epoch_holds_every_row_once_beside_its_label() -> None:
    x = np.arange(22, dtype="uint8").reshape(11, 2)
    keras.utils.set_random_seed(0)
    batches = passes(array_batches((x, x[:, 0].astype("int32")), 4, shuffle=True), 6)
    assert [len(batch[0]) for batch in batches] == [4, 4, 3] * 2
    for epoch in (batches[:3], batches[3:]):
        rows, labels = (np.concatenate(parts) for parts in zip(*epoch, strict=True))
        assert rows.dtype == np.uint8
        np.testing.assert_array_equal(rows[:, 0], labels)
        np.testing.assert_array_equal(np.sort(labels), x[:, 0])


@on_tensorflow
def test_the_order_changes_with_the_epoch_and_comes_again_with_the_seed() -> None:
    x = np.arange(64)
    orders = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        orders.append([batch[0] for batch in passes(array_batches((x,), 64, shuffle=True), 2)])
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0][0] != orders[0][1]).any()
    np.testing.assert_array_equal(passes(array_batches((x,), 64, shuffle=False), 1)[0][0], x)


@on_tensorflow
def test_fit_gives_what_keras_gives_without_shuffling() -> None:
    x = np.random.default_rng(0).random((30, 5))
    y = x.sum(axis=1)
    weights = []
    for fit in (lambda model, **given: model.fit(**given), lambda model, **given: model.fit(**fit_arguments(given))):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
        fit(model, x=x, y=y, batch_size=8, epochs=3, shuffle=False, validation_data=(x, y), verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)


@on_tensorflow
def test_nothing_tunes() -> None:
    stream = steady(iter([(np.zeros((2, 3)),)] * 4))
    for dataset in (stream, array_batches((np.zeros(4),), 2, shuffle=True)):
        assert not dataset.options().autotune.enabled
    assert len(passes(stream, 9)) == 4


@on_tensorflow
def test_batches_of_one_size_have_a_known_shape() -> None:
    x = np.zeros((8, 3))
    assert array_batches((x,), 4, shuffle=True).element_spec[0].shape == (4, 3)
    assert array_batches((x,), 3, shuffle=True).element_spec[0].shape == (None, 3)
    assert steady(iter([(x,)])).element_spec[0].shape == (8, 3)


@on_tensorflow
def test_what_needs_keras_own_path_is_left_alone() -> None:
    x = np.zeros((4, 2), "float32")
    own: list[dict[str, Any]] = [
        {"x": x, "sample_weight": np.ones(4)},
        {"x": x, "validation_split": 0.5},
        {"x": x, "steps_per_epoch": 2},
        {"x": x, "shuffle": "batch"},
        {"x": x, "y": np.zeros(3)},
        {"x": x[:0]},
        {"x": x.astype(object)},
        {"x": untuned(array_batches((x,), 2, shuffle=True))},
    ]
    for given in own:
        assert fit_arguments(given) is given
    taken = fit_arguments({"x": x, "y": None, "batch_size": 2, "epochs": 3, "sample_weight": None})
    assert taken["epochs"] == 3
    assert taken["steps_per_epoch"] == 2
    assert not {"batch_size", "y"} & set(taken)


@pytest.mark.backends
def test_a_stream_arrives_in_order() -> None:
    seen = []
    for (batch,) in steady((np.full((2, 1), step),) for step in range(5)):
        seen.append(int(np.asarray(batch)[0, 0]))
    assert seen == list(range(5))


@pytest.mark.backends
def test_fit_of_arrays_sees_each_row_of_an_epoch() -> None:
    rows = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            rows.append(batch)

    model = kptk.objective("contrastive", backbone=kptk.backbone("example_cnn", input_shape=(8, 8, 1), units=4))
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    model.fit(np.zeros((14, 8, 8, 1), "uint8"), batch_size=4, epochs=2, verbose=0, callbacks=[Watch()])
    assert rows == [0, 1, 2, 3] * 2
