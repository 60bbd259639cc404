"""Resampling of image batches as matrix products."""

from __future__ import annotations

import math

from keras import ops

from kptk.types import Tensor


def random_box(
    area: Tensor, shape: Tensor, down: Tensor, right: Tensor, smallest: float, largest: float = 1.0
) -> tuple[Tensor, ...]:
    """Turn uniform random numbers into boxes, as fractions of the image.

    Args:
        area: uniform numbers that become the box's area, `smallest` to `largest`, shape ``(batch,)``.
        shape: uniform numbers that become its aspect ratio, 3:4 to 4:3 on a logarithmic scale.
        down: uniform numbers that place it vertically.
        right: uniform numbers that place it horizontally.
        smallest: the smallest area, a fraction of the image.
        largest: the largest area, a fraction of the image.

    Returns:
        Top, height, left and width, each of shape ``(batch,)``.
    """
    area = smallest + (largest - smallest) * area
    ratio = ops.exp((2 * shape - 1) * math.log(4 / 3)) if smallest < 1 else ops.ones_like(shape)
    tall = ops.minimum(ops.sqrt(area / ratio), 1.0)
    wide = ops.minimum(ops.sqrt(area * ratio), 1.0)
    return down * (1 - tall), tall, right * (1 - wide), wide


def box_weights(start: Tensor, length: Tensor, source: int, target: int, mirrored: Tensor | None = None) -> Tensor:
    """Weights that resample a stretch of one axis with a triangle filter (bilinear, smoothed when it shrinks).

    Args:
        start: where the stretch begins, as a fraction of the axis, shape ``(batch,)``.
        length: its length, as a fraction of the axis, shape ``(batch,)``.
        source: pixels of the axis.
        target: pixels wanted.
        mirrored: which examples to reverse, booleans of shape ``(batch,)``, or None.

    Returns:
        Rows that add up to 1, shape ``(batch, target, source)``.
    """
    step = ops.reshape(length * source / target, (-1, 1, 1))  # source pixels for each target pixel
    index = ops.reshape(ops.arange(target, dtype="float32"), (1, -1, 1))
    if mirrored is not None:
        index = ops.where(ops.reshape(mirrored, (-1, 1, 1)), target - 1 - index, index)
    centre = ops.reshape(start * source, (-1, 1, 1)) + (index + 0.5) * step - 0.5  # (batch, target, 1)
    centre = ops.clip(centre, 0, source - 1)
    pixel = ops.reshape(ops.arange(source, dtype="float32"), (1, 1, -1))
    weights = ops.relu(1 - ops.abs(centre - pixel) / ops.maximum(step, 1.0))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def gaussian_weights(sigma: Tensor, size: int) -> Tensor:
    """Weights that blur one axis.

    Args:
        sigma: standard deviation in pixels, shape ``(batch,)``.
        size: pixels of the axis.

    Returns:
        Rows that add up to 1, shape ``(batch, size, size)``.
    """
    pixel = ops.arange(size, dtype="float32")
    distance = ops.expand_dims(pixel, 1) - ops.expand_dims(pixel, 0)
    weights = ops.exp(-0.5 * ops.square(distance[None] / ops.reshape(sigma, (-1, 1, 1))))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def apply(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resample both axes.

    Args:
        images: shape ``(batch, height, width, channels)``.
        rows: weights of the vertical axis, shape ``(batch or 1, new_height, height)``.
        columns: weights of the horizontal axis, shape ``(batch or 1, new_width, width)``.

    Returns:
        Shape ``(batch, new_height, new_width, channels)``.
    """
    _, height, width, channels = images.shape
    new_height, new_width = rows.shape[1], columns.shape[1]
    x = ops.matmul(rows, ops.reshape(images, (-1, height, width * channels)))
    if channels == 1:
        x = ops.matmul(ops.reshape(x, (-1, new_height, width)), ops.transpose(columns, (0, 2, 1)))
        return ops.reshape(x, (-1, new_height, new_width, 1))
    x = ops.transpose(ops.reshape(x, (-1, new_height, width, channels)), (0, 2, 1, 3))
    x = ops.matmul(columns, ops.reshape(x, (-1, width, new_height * channels)))
    return ops.transpose(ops.reshape(x, (-1, new_width, new_height, channels)), (0, 2, 1, 3))


def rotate(images: Tensor, angle: Tensor) -> Tensor:
    """Rotate about the centre, bilinear, edges repeated.

    Args:
        images: shape ``(batch, height, width, channels)``.
        angle: radians, shape ``(batch,)``.
    """
    height, width = images.shape[1:3]
    cos, sin = ops.cos(angle), ops.sin(angle)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    zero = ops.zeros_like(cos)
    transform = ops.stack(
        [
            cos,
            -sin,
            middle_x - cos * middle_x + sin * middle_y,
            sin,
            cos,
            middle_y - sin * middle_x - cos * middle_y,
            zero,
            zero,
        ],
        axis=1,
    )
    return ops.image.affine_transform(
        images, transform, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )
