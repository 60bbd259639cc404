"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012), with and without its two towers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError

SMALLEST = {"imagenet": 67, "small": 15}
"""Smallest side at which the last pooling of each stem has something to pool."""
LARGE_STEM = 67
TWO_STRIDES = 48


def alexnet(
    input_shape: tuple[int, ...],
    *,
    groups: int = 2,
    stem: str = "auto",
    units: int = 4096,
    dropout: float = 0.5,
) -> keras.Model:
    """Build five convolutions and two dense layers; the head belongs to the task.

    With a 1000-class head on 227 x 227 x 3 it has 60,965,224 parameters with two groups and 62,378,344 with one. (The
    paper gives the input as 224 x 224; its own sizes follow from 227 without padding.) The order is the paper's:
    convolution, ReLU, local response normalisation after the first two, overlapping pooling 3 x 3 with stride 2 after
    the first, second and fifth. Weights start from He's distribution, which needs no biases of 1.

    Args:
        input_shape: ``(height, width, channels)``, sides of at least 15 pixels.
        groups: 2 for the paper's towers, in which the second, fourth and fifth convolution see half of the channels
            each; 1 for none.
        stem: the first convolution: ``"imagenet"`` (11x11, stride 4), ``"small"`` (5x5, stride 1, or 2 from 48 pixels
            on) or ``"auto"``: small for sides below 67 pixels, at which the other leaves nothing to pool.
        units: width of each dense layer; the second one's is the length of the features.
        dropout: fraction of each dense layer's outputs dropped in training.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, units)``.

    Raises:
        UsageError: if the images are too small for the stem.

    Example:
        >>> backbone = alexnet((227, 227, 3), groups=2)
        >>> backbone.count_params() + 1000 * (4096 + 1)
        60965224

    References:
        https://proceedings.neurips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html
    """
    side = min(input_shape[:2])
    if stem == "auto":
        stem = "small" if side < LARGE_STEM else "imagenet"
    if side < SMALLEST[stem]:
        raise UsageError(
            f"alexnet with stem={stem!r} needs sides of at least {SMALLEST[stem]} pixels. Received: {input_shape}. "
            "Use stem='small' (from 15 pixels on), or larger views: -o preprocessor.size=67"
        )
    inputs = keras.Input(input_shape, name="images")
    if stem == "imagenet":
        x = _conv(inputs, 96, 11, "conv1", strides=4, padding="valid")
    else:
        x = _conv(inputs, 96, 5, "conv1", strides=2 if side >= TWO_STRIDES else 1)
    x = _pool(local_response_normalisation(x), "pool1")
    x = _conv(x, 256, 5, "conv2", groups=groups)
    x = _pool(local_response_normalisation(x), "pool2")
    x = _conv(x, 384, 3, "conv3")
    x = _conv(x, 384, 3, "conv4", groups=groups)
    x = _conv(x, 256, 3, "conv5", groups=groups)
    x = keras.layers.Flatten(name="flatten")(_pool(x, "pool5"))
    for name in ("fc6", "fc7"):
        x = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)(x)
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return keras.Model(inputs, x, name="alexnet")


def local_response_normalisation(x: Any) -> Any:
    """Divide each channel by ``(2 + 1e-4 * sum of squares of 5 neighbouring channels) ** 0.75``.

    Section 3.3 of the paper with its constants. Its sum is not a mean: the 1e-4 is not divided by 5, as some libraries do.

    Args:
        x: shape ``(batch, height, width, channels)``.

    Returns:
        The same shape.
    """
    # A band matrix adds up the neighbours: one product of matrices, several times faster than five slices. It is made
    # of the input, so that a saved model holds operations and no constants.
    index = ops.cumsum(ops.ones_like(x[0, 0, 0, :]))
    distance = ops.absolute(ops.expand_dims(index, 0) - ops.expand_dims(index, 1))
    band = ops.cast(distance <= 2, x.dtype)  # (channels, channels)
    total = 2.0 + 1e-4 * ops.matmul(ops.square(x), band)
    root = ops.rsqrt(total)
    return x * root * ops.sqrt(root)  # total ** -0.75


def _conv(
    x: Any, filters: int, size: int, name: str, *, strides: int = 1, padding: str = "same", groups: int = 1
) -> Any:
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        groups=groups,
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _pool(x: Any, name: str) -> Any:
    """Overlapping: windows of 3 x 3, two apart."""
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)
