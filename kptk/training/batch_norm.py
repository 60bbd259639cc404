"""TensorFlow's own kernel for batch normalisation, while a model trains on it.

Keras composes batch normalisation from a dozen elementwise operations, each a pass over the whole feature map; that costs a
ResNet a fifth of its step on a processor. TensorFlow has the same in one kernel, forwards and backwards. The layers stay
Keras' own, and so do their weights and what is saved: only how they compute is changed, and only inside `fused`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from kptk.training import backend
from kptk.types import Tensor


@contextlib.contextmanager
def fused(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Let plain batch normalisation of feature maps run in one kernel inside the block; elsewhere and on others: as ever.

    Args:
        layers: all layers of a model; those that it cannot speak for are left alone.

    Example:
        >>> import keras, numpy as np
        >>> layer = keras.layers.BatchNormalization()
        >>> with fused([layer]):
        ...     outputs = layer(np.ones((2, 4, 4, 3), "float32"), training=True)
        >>> bool(abs(np.asarray(outputs)).max() < 1e-3)
        True
    """
    chosen = [layer for layer in layers if _plain(layer)] if backend.name() == "tensorflow" else []
    for layer in chosen:
        vars(layer)["call"] = _call(layer)  # past Keras' tracking of attributes: this is not part of the model
    try:
        yield
    finally:
        for layer in chosen:
            vars(layer).pop("call", None)


def _plain(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.center
        and layer.scale
        and layer.compute_dtype == "float32"
        and not layer.renorm
        and not layer.synchronized
        and "call" not in vars(layer)
    )


def _call(layer: keras.layers.BatchNormalization) -> Callable[..., Tensor]:
    tf = sys.modules["tensorflow"]
    usual = layer.call

    def call(inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        maps = len(inputs.shape) == 4 and layer.axis in (-1, 3)
        if not (training and layer.trainable and maps and mask is None):
            return usual(inputs, training=training, mask=mask)
        result = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, tf.float32),
            scale=tf.convert_to_tensor(layer.gamma),
            offset=tf.convert_to_tensor(layer.beta),
            mean=tf.constant([], tf.float32),
            variance=tf.constant([], tf.float32),
            epsilon=layer.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
        variance = result.batch_variance * ((count - 1.0) / count)  # the kernel divides by n - 1, Keras by n
        for average, now in ((layer.moving_mean, result.batch_mean), (layer.moving_variance, variance)):
            average.assign(average * layer.momentum + now * (1.0 - layer.momentum))
        return result.y

    return call
