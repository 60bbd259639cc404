"""From features, a vector or a map, back to an image of any size."""

from __future__ import annotations

import math

import keras

from kptk_autoencoder.depth_to_space import DepthToSpace

START = 8
"""A vector is first spread over a map whose sides are at most this."""
WIDEST = 8
"""The decoder gets wider towards the features, up to this many times its width at the image."""


def decoder(code_shape: tuple[int, ...], image_shape: tuple[int, ...], *, filters: int, name: str) -> keras.Model:
    """Build a decoder that doubles the sides by sub-pixel convolutions until it has the image's size.

    A vector goes through a dense layer to a small map; a map is taken as it is, with a border added or cut where its
    sides are not those that halving the image gives. Each step is Conv 3x3 -> depth to space -> GELU; the last layer is a
    linear Conv 3x3 to the image's channels. With ReLU the few channels before the image die in some runs, and with them the code.

    Args:
        code_shape: ``(dim,)`` or ``(rows, columns, channels)``.
        image_shape: ``(height, width, channels)``.
        filters: channels at the image's own size; twice as many at each halving, up to eight times.
        name: name of the model.

    Returns:
        A built `keras.Model` from ``(batch, *code_shape)`` to ``(batch, *image_shape)``, without activation.

    Example:
        >>> decoder((128,), (28, 28, 1), filters=16, name="decoder").output_shape
        (None, 28, 28, 1)
    """
    height, width, channels = image_shape
    sizes = [(height, width)]
    while max(sizes[-1]) > 1:
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    inputs = keras.Input(code_shape, name="features")
    if len(code_shape) == 1:
        steps = next(step for step, size in enumerate(sizes) if min(size) <= START)
        rows, columns = sizes[steps]
        deep = _width(filters, steps)
        x = keras.layers.Dense(rows * columns * deep, activation="gelu", name="spread")(inputs)
        x = keras.layers.Reshape((rows, columns, deep), name="map")(x)
    else:
        steps = min(range(len(sizes)), key=lambda step: _distance(sizes[step], code_shape))
        x = _fitted(inputs, *sizes[steps])
    for step in reversed(range(steps)):
        x = keras.layers.Conv2D(4 * _width(filters, step), 3, padding="same", name=f"conv{step}")(x)
        x = DepthToSpace(2, name=f"double{step}")(x)
        x = keras.layers.Activation("gelu", name=f"gelu{step}")(x)
        x = _fitted(x, *sizes[step])
    x = keras.layers.Conv2D(channels, 3, padding="same", name="image")(x)
    return keras.Model(inputs, x, name=name)


def _width(filters: int, step: int) -> int:
    return filters * min(2**step, WIDEST)


def _distance(size: tuple[int, int], code_shape: tuple[int, ...]) -> float:
    """How far a map's sides are from a size, as a ratio."""
    return sum(abs(math.log(a / b)) for a, b in zip(size, code_shape[:2], strict=True))


def _fitted(x: keras.KerasTensor, rows: int, columns: int) -> keras.KerasTensor:
    """Add or cut a border, half of it on each side, so that a map has the wanted sides."""
    more = (rows - x.shape[1], columns - x.shape[2])
    if any(side > 0 for side in more):
        x = keras.layers.ZeroPadding2D([_halves(max(side, 0)) for side in more])(x)
    if any(side < 0 for side in more):
        x = keras.layers.Cropping2D([_halves(max(-side, 0)) for side in more])(x)
    return x


def _halves(pixels: int) -> tuple[int, int]:
    return pixels // 2, pixels - pixels // 2
