"""Features: one vector an example, from any backbone and any source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor


def pooled(features: Tensor) -> Tensor:
    """Average a feature map ``(batch, h, w, c)`` or sequence ``(batch, t, c)`` to ``(batch, c)``; vectors pass.

    Args:
        features: what a backbone returned.
    """
    rank = len(features.shape)
    return features if rank == 2 else ops.mean(features, axis=tuple(range(1, rank - 1)))


def run_backbone(backbone: keras.Model, inputs: Tensor, training: bool) -> Tensor:
    """Run a backbone, also at another size than it was built for, if its layers can.

    Keras refuses other sizes for any functional model, although convolutions and global averages do not mind.

    Args:
        backbone: any `keras.Model` from inputs to features.
        inputs: shape ``(batch, ...)``.
        training: whether batch statistics and dropout are on.

    Raises:
        UsageError: if a layer needs the size that the backbone was built for.
    """
    expected = getattr(backbone, "input_shape", None)
    if not isinstance(expected, tuple) or _fits(expected[1:], tuple(inputs.shape[1:])):
        return backbone(inputs, training=training)
    try:
        return backbone.call(inputs, training=training)
    except ValueError as error:
        built, received = (" x ".join(map(str, shape[1:])) for shape in (expected, tuple(inputs.shape)))
        raise UsageError(
            f"backbone '{backbone.name}' takes inputs of {built} only. Received: views of {received}. Make all views of "
            "one size (-o preprocessor.local_size=0), or use a backbone that ends in a global average, such as resnet18."
        ) from error


def _fits(expected: tuple[int | None, ...], received: tuple[int | None, ...]) -> bool:
    return len(expected) != len(received) or all(
        want is None or got is None or want == got for want, got in zip(expected, received, strict=True)
    )


def extract(
    encoder: Encoder, source: Source, *, batch_size: int = 256, progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Compute the features of every row, in inference mode.

    Args:
        encoder: the network behind its preprocessor.
        source: the rows.
        batch_size: rows a step.
        progress: called with the number of rows done, or None.

    Returns:
        Features, shape ``(rows, dim)``.
    """
    return np.asarray(
        extract_with(encoder.predict_on_batch, source, batch_size=batch_size, progress=progress), "float32"
    )


def extract_with(
    predict: Callable[[NDArray[Any]], Any],
    source: Source,
    *,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> NDArray[Any]:
    """Call a function on every row, in batches of one size.

    Args:
        predict: from a batch to an array.
        source: the rows.
        batch_size: rows a step.
        progress: called with the number of rows done, or None.

    Returns:
        What it gave, row by row.
    """
    parts = []
    for start in range(0, len(source), batch_size):
        rows = np.arange(start, min(start + batch_size, len(source)))
        batch = source.read(rows)
        if len(rows) < batch_size:
            # Every batch has one shape, so that the backend compiles the network once.
            batch = np.concatenate([batch, np.zeros((batch_size - len(rows), *batch.shape[1:]), batch.dtype)])
        parts.append(np.asarray(predict(batch))[: len(rows)])
        if progress:
            progress(int(rows[-1]) + 1)
    return np.concatenate(parts)


def in_batches(predict: Callable[[NDArray[Any]], Any], x: NDArray[Any], size: int = 256) -> NDArray[Any]:
    """Predict in batches of one size, so that the function is compiled once.

    Args:
        predict: from a batch to an array.
        x: rows.
        size: rows of a batch; the last one is filled up and cut.
    """
    parts = []
    for start in range(0, len(x), size):
        batch = x[start : start + size]
        filled = np.concatenate([batch, np.zeros((size - len(batch), *x.shape[1:]), x.dtype)])
        parts.append(np.asarray(predict(filled))[: len(batch)])
    return np.concatenate(parts)


class Encoder(keras.Model):
    """Raw inputs to feature vectors, in inference mode: the backbone behind its preprocessor's plain way.

    Args:
        backbone: the network.
        preprocessor: prepares raw inputs, or None.
    """

    def __init__(self, backbone: keras.Model, preprocessor: Preprocessor | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Features of raw inputs, shape ``(batch, dim)``."""
        if self.preprocessor is not None:
            inputs = self.preprocessor.plain(inputs)
        return ops.cast(pooled(self.backbone(inputs, training=False)), "float32")
