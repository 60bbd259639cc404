"""How batches reach `keras.Model.fit` on TensorFlow: through `tf.data`, without its tuning thread.

Keras hands arrays and generators to `tf.data` with automatic tuning. Its thread sleeps for 10 ms, then twice as long each
time, and an iterator that is thrown away at the end of an epoch can miss the wake-up: the epoch then lasts until the next
one, up to twice as long (measured: 5.1 s instead of 2.6 s, about one epoch in six). There is nothing to tune here, so
the pipelines below are made without the thread. Other backends never have it and get what they were given.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.training import backend

KERAS_BATCH = 32
"""What `keras.Model.fit` takes if it is not told."""
PREFETCH = 2
PASSED_ON = {"batch_size", "shuffle"}
UNDERSTOOD = {
    *PASSED_ON,
    *("x", "y", "epochs", "verbose", "callbacks", "initial_epoch"),
    *("validation_data", "validation_batch_size", "validation_steps", "validation_freq"),
}


def fit_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """What to call `keras.Model.fit` with instead of arrays; unchanged where it is not about plain arrays.

    Rows come in a new order each epoch, drawn from the generator that `keras.utils.set_random_seed` seeds, and the last
    batch holds what is left, as in Keras.

    Args:
        given: arguments of `fit`, by name.

    Returns:
        Arguments of `fit`.
    """
    x, y, shuffle = given.get("x"), given.get("y"), given.get("shuffle", True)
    arrays = [array for array in (x, y) if array is not None]
    plain = all(isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and len(array) for array in arrays)
    if backend.name() != "tensorflow" or x is None or not plain or shuffle not in (True, False):
        return given
    named = {key for key, value in given.items() if value is not None}
    if not named <= UNDERSTOOD or len({len(array) for array in arrays}) > 1:
        return given
    batch_size = int(given.get("batch_size") or KERAS_BATCH)
    rest = {key: value for key, value in given.items() if key not in PASSED_ON | {"x", "y"}}
    if given.get("validation_data") is not None:
        rest["validation_batch_size"] = given.get("validation_batch_size") or batch_size
    steps = -(-len(arrays[0]) // batch_size)
    return {"x": array_batches(tuple(arrays), batch_size, shuffle=bool(shuffle)), "steps_per_epoch": steps, **rest}


def array_batches(arrays: tuple[NDArray[Any], ...], batch_size: int, *, shuffle: bool) -> Any:
    """An endless `tf.data.Dataset` of batches: epoch after epoch, each in a new order and with its remainder as last batch.

    Endless, because Keras makes a new iterator for each epoch of a data set that ends, which costs as much as a step.

    Args:
        arrays: of one length; floats become Keras' own float type.
        batch_size: rows a step.
        shuffle: whether the order changes.

    Returns:
        The data set, of tuples as long as `arrays`.
    """
    import keras

    tf = sys.modules["tensorflow"]
    rows = len(arrays[0])
    rng = np.random.default_rng(np.random.randint(2**31))

    def orders() -> Iterator[NDArray[np.int64]]:
        while True:
            yield rng.permutation(rows) if shuffle else np.arange(rows)

    def pick(places: Any, held: Any) -> Any:
        batch = (tf.gather(array, places) for array in held)
        return tuple(tf.cast(part, keras.config.floatx()) if part.dtype.is_floating else part for part in batch)

    order = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec((rows,), tf.int64))
    even = rows % batch_size == 0  # a batch of known size gives a graph without shape arithmetic: some 4 % faster
    places = order.flat_map(lambda row: tf.data.Dataset.from_tensor_slices(row).batch(batch_size, drop_remainder=even))
    held = tf.data.Dataset.from_tensors(arrays).repeat()
    return untuned(tf.data.Dataset.zip(places, held).map(pick).prefetch(PREFETCH))


def steady(batches: Iterator[tuple[Any, ...]]) -> Any:
    """A stream of NumPy batches, all of one shape, as `fit` takes it best on this backend.

    Args:
        batches: tuples of arrays; at least one.

    Returns:
        A `tf.data.Dataset` on TensorFlow, elsewhere the stream itself.
    """
    if backend.name() != "tensorflow":
        return batches
    tf = sys.modules["tensorflow"]
    first = next(batches)
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in map(np.asarray, first))
    stream = tf.data.Dataset.from_generator(lambda: itertools.chain([first], batches), output_signature=signature)
    return untuned(stream.prefetch(PREFETCH))


def untuned(dataset: Any) -> Any:
    """The same `tf.data.Dataset` without the tuning thread.

    Args:
        dataset: with fixed numbers for prefetching and parallel calls.
    """
    options = sys.modules["tensorflow"].data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
