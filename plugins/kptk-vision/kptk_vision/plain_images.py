"""Images as they are: scaled and resized, nothing random."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_vision.image_views import ImageViews


@keras.saving.register_keras_serializable(package="kptk_vision")
class PlainImages(Preprocessor):
    """Scales integers of 0..255 to 0..1 and resizes; training sees the same as inference.

    For objectives that make their own task of an image, such as autoencoders, and must not reconstruct the noise or
    the empty borders of random views.

    Args:
        views: how many times each image is handed on.
        size: side in pixels; 0 keeps the images' own size.
        seed: not used; here because every preprocessor takes it.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> (image,) = PlainImages(size=16)(np.full((1, 32, 32, 3), 255, "uint8"))
        >>> tuple(image.shape), float(image[0, 0, 0, 0])
        ((1, 16, 16, 3), 1.0)
    """

    def __init__(self, *, views: int = 1, size: int = 0, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(views=views, seed=seed, **kwargs)
        self.size = size
        self._scaler = ImageViews(views=1, size=size, seed=0)

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Hand the images on, each ``(batch, size, size, channels)`` of 0..1."""
        return (self.plain(inputs),) * self.views

    def plain(self, inputs: Tensor) -> Tensor:
        """Scale to 0..1 and resize."""
        return self._scaler.plain(inputs)

    def check(self, inputs: Any) -> None:
        """Refuse arrays that are not images of 0..255 integers or 0..1 floats."""
        self._scaler.check(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "size": self.size}
