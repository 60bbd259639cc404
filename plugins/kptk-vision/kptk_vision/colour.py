"""Colour changes of image batches as one affine map an image."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from kptk.types import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

# Hue turns the two chroma axes of YIQ; in RGB that is one matrix.
_TO_YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)], dtype="float32")
_TO_RGB = np.linalg.inv(_TO_YIQ).astype("float32")


def jitter(images: Tensor, strength: float, grey: float, draw: list[Tensor]) -> Tensor:
    """Change brightness, contrast, saturation and hue, or take out all colour, at random.

    The changes of SimCLR's appendix A with ``0.8 * strength`` for the first three and ``0.2 * strength`` of a turn for
    hue, applied with probability 0.8. They are made in this order, clipped once at the end; hue is a turn in YIQ.

    Args:
        images: shape ``(batch, height, width, channels)``, 0..1. With one channel only brightness and contrast change.
        strength: 0 to 1.
        grey: probability that all colour is taken out.
        draw: seven tensors of uniform numbers, each ``(batch,)``.

    Returns:
        Images of the same shape, not yet clipped.
    """
    spread = 0.8 * strength * ops.cast(draw[0] < 0.8, "float32")  # 0 for those left as they are
    brightness, contrast, saturation = (1 + spread * (2 * number - 1) for number in draw[1:4])
    channels = images.shape[-1]
    luma = ops.ones((1,)) if channels == 1 else ops.convert_to_tensor(LUMA)
    if channels not in (1, 3):
        luma = ops.ones((channels,)) / channels
    # Brightness and contrast: c * b * x + (1 - c) * mean grey of (b * x).
    mean = ops.sum(ops.mean(images, axis=(1, 2)) * luma, axis=-1) * brightness  # (batch,)
    scale = ops.reshape(brightness * contrast, (-1, 1, 1, 1))
    offset = ops.reshape((1 - contrast) * mean, (-1, 1, 1, 1))
    if channels != 3:
        return images * scale + offset
    saturation = ops.where(draw[5] < grey, 0.0, saturation)
    turn = 0.25 * spread * (2 * draw[4] - 1) * 2 * math.pi  # 0.2 * strength of a full turn
    matrix = ops.matmul(_saturation(saturation), _hue(turn))  # (batch, 3, 3)
    shape = ops.shape(images)
    flat = ops.reshape(images, (shape[0], -1, 3))
    mixed = ops.matmul(flat, ops.transpose(matrix, (0, 2, 1)))
    return ops.reshape(mixed, shape) * scale + offset


def _saturation(amount: Tensor) -> Tensor:
    """Blend with grey: ``amount * I + (1 - amount) * 1 luma'``, shape ``(batch, 3, 3)``."""
    amount = ops.reshape(amount, (-1, 1, 1))
    grey = ops.convert_to_tensor(np.tile(np.array(LUMA, dtype="float32"), (3, 1)))
    return amount * ops.eye(3) + (1 - amount) * grey


def _hue(turn: Tensor) -> Tensor:
    """Turn the chroma plane by an angle in radians, shape ``(batch, 3, 3)``."""
    cos, sin, zero = ops.cos(turn), ops.sin(turn), ops.zeros_like(turn)
    one = ops.ones_like(turn)
    rotation = ops.reshape(ops.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
    to_rgb, to_yiq = ops.convert_to_tensor(_TO_RGB), ops.convert_to_tensor(_TO_YIQ)
    return ops.matmul(to_rgb, ops.matmul(rotation, to_yiq))
