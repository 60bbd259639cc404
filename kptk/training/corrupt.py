"""Corruptions of images in five severities, as CIFAR-10-C and ImageNet-C define them.

References:
    https://arxiv.org/abs/1903.12261
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.floating[Any]]
Rng = np.random.Generator

SMALL = 64
"""Images whose shorter side has fewer pixels get the constants of CIFAR-10-C, others those of ImageNet-C."""

# Name: constants of CIFAR-10-C, constants of ImageNet-C, each for severities 1 to 5.
LEVELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "impulse_noise": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": ((0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0)),
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "pixelate": ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
}


def _gaussian_noise(images: Images, level: float, rng: Rng) -> Images:
    """Add noise of standard deviation `level`."""
    return (images + rng.normal(0.0, level, images.shape)).astype(images.dtype)


def _impulse_noise(images: Images, level: float, rng: Rng) -> Images:
    """Set a share `level` of the numbers to 0 or 1, half and half."""
    hit, white = rng.random(images.shape) < level, rng.random(images.shape) < 0.5
    return np.where(hit, white.astype(np.float32), images)


def _gaussian_blur(images: Images, level: float, rng: Rng) -> Images:
    """Blur with a standard deviation of `level` pixels; the border is repeated."""
    del rng
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images, sigma=(0, level, level, 0), mode="nearest")


def _contrast(images: Images, level: float, rng: Rng) -> Images:
    """Draw each channel to its mean over the image, keeping a share `level` of the difference."""
    del rng
    mean = images.mean(axis=(1, 2), keepdims=True)
    return (images - mean) * level + mean


def _brightness(images: Images, level: float, rng: Rng) -> Images:
    """Raise the value of each pixel's colour (V of HSV) by `level`; of grey, the grey."""
    del rng
    if images.shape[-1] != 3:
        return images + level
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

    hsv = rgb_to_hsv(np.clip(images, 0.0, 1.0))
    hsv[..., 2] = np.clip(hsv[..., 2] + level, 0.0, 1.0)
    return hsv_to_rgb(hsv)


def _pixelate(images: Images, level: float, rng: Rng) -> Images:
    """Shrink both sides to a share `level` and enlarge them again, by boxes."""
    del rng
    from PIL import Image

    height, width = images.shape[1:3]
    small = (max(int(width * level), 1), max(int(height * level), 1))

    def one(channel: NDArray[Any]) -> NDArray[Any]:
        shrunk = Image.fromarray(channel).resize(small, Image.Resampling.BOX)
        return np.asarray(shrunk.resize((width, height), Image.Resampling.BOX))

    return _by_channel(images, one)


def _jpeg(images: Images, level: float, rng: Rng) -> Images:
    """Pass the image through JPEG of quality `level`."""
    del rng
    from PIL import Image

    def one(pixels: NDArray[np.uint8]) -> NDArray[Any]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(level))
        return np.asarray(Image.open(buffer), dtype=np.float32) / 255

    pixels = np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)
    if images.shape[-1] == 3:
        return np.stack([one(image) for image in pixels])
    return _by_channel(pixels, one)


def _by_channel(images: NDArray[Any], one: Callable[[NDArray[Any]], NDArray[Any]]) -> Images:
    channels = [[one(np.ascontiguousarray(image[..., c])) for c in range(images.shape[-1])] for image in images]
    return np.moveaxis(np.array(channels, dtype=np.float32), 1, -1)


CORRUPTIONS: dict[str, Callable[[Images, float, Rng], Images]] = {
    "gaussian_noise": _gaussian_noise,
    "impulse_noise": _impulse_noise,
    "gaussian_blur": _gaussian_blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "pixelate": _pixelate,
    "jpeg": _jpeg,
}


def corrupt(images: Images, name: str, severity: int, *, seed: int = 0) -> Images:
    """Corrupt images; the result is within 0..1.

    Args:
        images: of 0..1, shape ``(rows, height, width, channels)``.
        name: one of `kptk.settings.CORRUPTIONS`.
        severity: 1 to 5.
        seed: of the noise.

    Example:
        >>> import numpy as np
        >>> grey = np.full((1, 8, 8, 1), 0.5, "float32")
        >>> round(float(corrupt(grey, "brightness", 3).max()), 2)
        0.65
    """
    level = LEVELS[name][min(images.shape[1:3]) >= SMALL][severity - 1]
    changed = CORRUPTIONS[name](images, level, np.random.default_rng([seed, 29]))
    return np.clip(changed, 0.0, 1.0).astype(np.float32)
