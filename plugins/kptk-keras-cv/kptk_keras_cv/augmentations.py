"""The augmentation layers of KerasCV that make a view of one image, by short names and one strength."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import keras_cv

RANGE = (0.0, 255.0)
"""Range of the pixels that the layers are given."""

_L = keras_cv.layers
Make = Callable[[int, float, int | None], keras.layers.Layer]

AUGMENTATIONS: dict[str, Make] = {
    "aug_mix": lambda side, s, seed: _L.AugMix(RANGE, severity=s, seed=seed),
    "blur": lambda side, s, seed: _L.RandomGaussianBlur(5, (0.1, 0.1 + 4 * s), seed=seed),
    "brightness": lambda side, s, seed: _L.RandomBrightness(s, RANGE, seed=seed),
    "channel_shift": lambda side, s, seed: _L.RandomChannelShift(RANGE, s, seed=seed),
    "channel_shuffle": lambda side, s, seed: _L.ChannelShuffle(groups=3, seed=seed),
    "color_jitter": lambda side, s, seed: _L.RandomColorJitter(RANGE, 0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s, seed=seed),
    "contrast": lambda side, s, seed: _L.RandomContrast(RANGE, s, seed=seed),
    "crop": lambda side, s, seed: _L.RandomCropAndResize(
        (side, side), (1 - 1.6 * min(s, 0.6), 1), (0.75, 4 / 3), seed=seed
    ),
    "cutout": lambda side, s, seed: _L.RandomCutout(s, s, seed=seed),
    "degeneration": lambda side, s, seed: _L.RandomColorDegeneration(s, seed=seed),
    "flip": lambda side, s, seed: _L.RandomFlip("horizontal", seed=seed),
    "grid_mask": lambda side, s, seed: _L.GridMask(ratio_factor=(0.0, s), seed=seed),
    "hue": lambda side, s, seed: _L.RandomHue(s, RANGE, seed=seed),
    "rand_augment": lambda side, s, seed: _L.RandAugment(RANGE, augmentations_per_image=2, magnitude=s, seed=seed),
    "rotation": lambda side, s, seed: _L.RandomRotation(0.25 * s, seed=seed),
    "saturation": lambda side, s, seed: _L.RandomSaturation(s, seed=seed),
    "sharpness": lambda side, s, seed: _L.RandomSharpness(s, RANGE, seed=seed),
    "shear": lambda side, s, seed: _L.RandomShear(s, s, seed=seed),
    "solarization": lambda side, s, seed: _L.Solarization(RANGE, threshold_factor=(255 * (1 - s), 255), seed=seed),
    "translation": lambda side, s, seed: _L.RandomTranslation(0.5 * s, 0.5 * s, seed=seed),
    "zoom": lambda side, s, seed: _L.RandomZoom(s, s, seed=seed),
}
"""From the side of a view, a strength of 0..1 and a seed to the layer."""

REFUSED: dict[str, str] = {
    "aspect_ratio": "it fails on batches of images",
    "augmenter": "it fails under Keras 3",
    "auto_contrast": "it is not random",
    "copy_paste": "it mixes images",
    "cut_mix": "it mixes images, and a view is of one image",
    "equalization": "it is not random",
    "fourier_mix": "it mixes images, and a view is of one image",
    "jpeg": "it returns another range of pixels than it is given",
    "mix_up": "it mixes images, and a view is of one image",
    "mosaic": "it mixes images, and a view is of one image",
    "posterization": "it is not random",
}
"""Layers of KerasCV that make no view, and why."""


def augmentation(name: str, side: int, strength: float, seed: int | None) -> Any:
    """Build one of the layers.

    Args:
        name: one of `AUGMENTATIONS`.
        side: side of the views in pixels.
        strength: 0 to 1.
        seed: of the layer.
    """
    return AUGMENTATIONS[name](side, strength, seed)
