"""Random views of images: crop, flip, rotation, colour jitter, grey, blur, solarise, noise."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.errors import InputError, UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_vision import colour, resample

SMALLEST_LOCAL = 0.05
"""Smallest area of a local crop, as a fraction of the image."""


@keras.saving.register_keras_serializable(package="kptk_vision")
class ImageViews(Preprocessor):
    """Makes several random views of each image, inside the model and on any backend.

    Crop, flip and blur are linear along each axis, so together they are one matrix a side: two matrix products resample
    a whole batch. The colour changes are one 3 x 3 matrix an image. Integer images are taken as 0..255 and floats as
    0..1; the backbone gets 0..1.

    With `local_views` it makes a multi-crop: the first views are global, crops of at least `crop`, and the last ones show
    a small part only, at their own size if the backbone takes several.

    Args:
        views: how many views of each image.
        size: side of the views in pixels; 0 keeps the images' own size.
        crop: smallest area of a random crop, as a fraction of the image, 0 < crop <= 1. 1 switches cropping off.
        flip: probability of a left-right flip. 0 for digits and text.
        rotation: largest rotation, in degrees, both ways.
        jitter: strength of brightness, contrast, saturation and hue changes, 0 to 1.
        grey: probability that all colour is taken out.
        blur: probability of a Gaussian blur of 0.1 to 2 pixels; for images of 96 pixels and more.
        solarise: probability that bright pixels are inverted.
        noise: standard deviation of Gaussian noise, on the 0..1 scale.
        local_views: how many of the views, the last ones, are local crops; fewer than `views`.
        local_crop: largest area of a local crop, as a fraction of the image, 0.05 to 1; the smallest is 0.05.
        local_size: side of the local views in pixels; 0 for that of the global ones, which a backbone that takes one
            size needs.
        seed: seed of the random numbers; None draws one.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> first, second = ImageViews(seed=0)(np.zeros((4, 32, 32, 3), "uint8"))
        >>> tuple(first.shape)
        (4, 32, 32, 3)

        >>> shapes = [
        ...     tuple(view.shape[1:3])
        ...     for view in ImageViews(views=4, local_views=2, local_size=12)(np.zeros((4, 32, 32, 3), "uint8"))
        ... ]
        >>> shapes
        [(32, 32), (32, 32), (12, 12), (12, 12)]

    References:
        https://arxiv.org/abs/2002.05709, appendix A; multi-crop: https://arxiv.org/abs/2006.09882, section 3.2
    """

    def __init__(
        self,
        *,
        views: int = 2,
        size: int = 0,
        crop: float = 0.2,
        flip: float = 0.5,
        rotation: float = 0.0,
        jitter: float = 0.5,
        grey: float = 0.2,
        blur: float = 0.0,
        solarise: float = 0.0,
        noise: float = 0.0,
        local_views: int = 0,
        local_crop: float = 0.4,
        local_size: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # colours keep their precision under a mixed policy
        super().__init__(views=views, seed=seed, **kwargs)
        if local_views and local_views >= views:
            raise UsageError(
                f"`local_views` must be fewer than the {views} views that are made: at least one view is global. "
                f"Received: {local_views}. Use fewer local views or an objective with more views (-o objective.views=)."
            )
        self.size = size
        self.crop = crop
        self.flip = flip
        self.rotation = rotation
        self.jitter = jitter
        self.grey = grey
        self.blur = blur
        self.solarise = solarise
        self.noise = noise
        self.local_views = local_views
        self.local_crop = local_crop
        self.local_size = local_size

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the views, global ones first, each ``(batch, side, side, channels)`` of 0..1."""
        images = self._scaled(inputs)
        first_local = self.views - self.local_views
        return tuple(self._view(images, local=index >= first_local) for index in range(self.views))

    def plain(self, inputs: Tensor) -> Tensor:
        """Scale to 0..1 and resize, without any randomness."""
        images = self._scaled(inputs)
        height, width = _side(images, self.size)
        if (height, width) != tuple(images.shape[1:3]):
            rows = resample.box_weights(ops.zeros((1,)), ops.ones((1,)), images.shape[1], height)
            columns = resample.box_weights(ops.zeros((1,)), ops.ones((1,)), images.shape[2], width)
            images = resample.apply(images, rows, columns)
        return images

    def check(self, inputs: Any) -> None:
        """Refuse arrays that are not images of 0..255 integers or 0..1 floats."""
        if len(inputs.shape) != 4:
            hint = " Add the channel axis: x[..., None]." if len(inputs.shape) == 3 else ""
            raise InputError(
                f"images must have the shape (count, height, width, channels). Received: {tuple(inputs.shape)}.{hint}"
            )
        sample = np.asarray(inputs[:256])
        if np.issubdtype(sample.dtype, np.floating) and sample.size:
            if not np.isfinite(sample).all():
                raise InputError("images must be finite. Received: NaN or infinity. Remove or replace those rows.")
            if sample.max() > 1.5 or sample.min() < -0.5:
                raise InputError(
                    f"float images must be 0..1. Received: {sample.min():g}..{sample.max():g}. "
                    "Divide by 255, or pass integers of 0..255."
                )

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("size", "crop", "flip", "rotation", "jitter", "grey", "blur", "solarise", "noise")
        local = ("local_views", "local_crop", "local_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in (*names, *local)}}

    def _scaled(self, inputs: Tensor) -> Tensor:
        inputs = ops.convert_to_tensor(inputs)
        integers = "int" in keras.backend.standardize_dtype(inputs.dtype)
        images = ops.cast(inputs, "float32")
        return images / 255.0 if integers else images

    def _view(self, images: Tensor, *, local: bool) -> Tensor:
        count = ops.shape(images)[0]
        # One draw for everything that is a single number an image: seeds are the slow part of a random call.
        draw = ops.unstack(keras.random.uniform((count, 16), seed=self.seed_generator), 16, axis=1)
        images = self._resampled(images, draw[:7], local=local)
        if self.rotation:
            angle = (2 * draw[7] - 1) * math.radians(self.rotation)
            images = resample.rotate(images, angle)
        if self.jitter or self.grey:
            images = colour.jitter(images, self.jitter, self.grey, draw[8:15])
        if self.solarise:
            chosen = ops.reshape(draw[15] < self.solarise, (-1, 1, 1, 1))
            images = ops.where(ops.logical_and(chosen, images > 0.5), 1.0 - images, images)
        if self.noise:
            images = images + self.noise * keras.random.normal(ops.shape(images), seed=self.seed_generator)
        return ops.clip(images, 0.0, 1.0)

    def _resampled(self, images: Tensor, draw: list[Tensor], *, local: bool) -> Tensor:
        """Crop, flip and blur as one matrix a side."""
        smallest, largest = (SMALLEST_LOCAL, self.local_crop) if local else (self.crop, 1.0)
        height, width = _side(images, (self.local_size or self.size) if local else self.size)
        same_size = (height, width) == tuple(images.shape[1:3])
        if smallest >= 1 and not self.flip and not self.blur and same_size:
            return images
        top, tall, left, wide = resample.random_box(draw[0], draw[1], draw[2], draw[3], smallest, largest)
        rows = resample.box_weights(top, tall, images.shape[1], height)
        columns = resample.box_weights(left, wide, images.shape[2], width, mirrored=draw[4] < self.flip)
        if self.blur:
            sigma = ops.where(draw[5] < self.blur, 0.1 + 1.9 * draw[6], 1e-3)
            rows = ops.matmul(resample.gaussian_weights(sigma, height), rows)
            columns = ops.matmul(resample.gaussian_weights(sigma, width), columns)
        return resample.apply(images, rows, columns)


def _side(images: Tensor, size: int) -> tuple[int, int]:
    """Height and width of what is made of images: the size asked for, or their own if it is 0."""
    height, width = images.shape[1:3]
    return (size or height), (size or width)
