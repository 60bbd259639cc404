"""How near one image is to another: PSNR and SSIM, for objectives and tasks that make images."""

from __future__ import annotations

import math

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

WINDOW = 11
SIGMA = 1.5
LEAST_ERROR = 1e-10
"""Squared error below which images count as equal: PSNR ends at 100 dB for images of 0..1, so that means stay finite."""


def psnr(images: Tensor, others: Tensor, max_value: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image, ``10 log10(max² / MSE)``.

    Args:
        images: shape ``(batch, height, width, channels)``.
        others: the same shape.
        max_value: the largest value that a pixel can have.

    Returns:
        Decibels, shape ``(batch,)``; at most 100 for images of 0..1, which equal images have.

    Example:
        >>> import numpy as np
        >>> float(psnr(np.zeros((1, 8, 8, 1)), np.full((1, 8, 8, 1), 0.1))[0])
        20.0...
    """
    difference = (ops.cast(images, "float32") - ops.cast(others, "float32")) / max_value
    error = ops.mean(ops.square(difference), axis=(1, 2, 3))
    return -10.0 / math.log(10.0) * ops.log(ops.maximum(error, LEAST_ERROR))


def ssim(images: Tensor, others: Tensor, max_value: float = 1.0) -> Tensor:
    """Structural similarity of each image, with the paper's 11 x 11 Gaussian window of 1.5 pixels.

    Only places where the whole window lies inside the image count, and the channels are averaged; scikit-image (with
    ``gaussian_weights=True, use_sample_covariance=False``) and ``tf.image.ssim`` do the same. On images of fewer than
    11 pixels a side, which both refuse, the window is the largest odd one that fits.

    Args:
        images: shape ``(batch, height, width, channels)``, with known sides.
        others: the same shape.
        max_value: the largest value that a pixel can have.

    Returns:
        Similarities, shape ``(batch,)``: 1 for equal images, near 0 for unrelated ones.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).random((1, 16, 16, 1))
        >>> round(float(ssim(image, image)[0]), 4)
        1.0

    References:
        https://doi.org/10.1109/TIP.2003.819861
    """
    x, y = ops.cast(images, "float32"), ops.cast(others, "float32")
    height, width = x.shape[1:3]
    size = min(WINDOW, height, width)
    size -= 1 - size % 2
    rows = ops.convert_to_tensor(_windows(height, size))
    columns = ops.convert_to_tensor(_windows(width, size))

    def smooth(values: Tensor) -> Tensor:
        # (places, height) x (batch, height, width * channels), then the same along the width.
        return ops.einsum("ih,bhwc,jw->bijc", rows, values, columns)

    mean_x, mean_y = smooth(x), smooth(y)
    variances = smooth(ops.square(x) + ops.square(y)) - ops.square(mean_x) - ops.square(mean_y)
    covariance = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (ops.square(mean_x) + ops.square(mean_y) + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


def _windows(side: int, size: int) -> NDArray[np.float32]:
    """One row of Gaussian weights for each place of the window along a side."""
    offsets = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * np.square(offsets / SIGMA))
    matrix = np.zeros((side - size + 1, side))
    for place in range(len(matrix)):
        matrix[place, place : place + size] = weights / weights.sum()
    return matrix.astype("float32")
