"""Random views of images by KerasCV's augmentation layers."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kptk.errors import InputError, UsageError, did_you_mean
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_keras_cv.augmentations import AUGMENTATIONS, REFUSED, augmentation


@keras.saving.register_keras_serializable(package="kptk_keras_cv")
class CvViews(Preprocessor):
    """Makes random views of each image by a row of KerasCV's layers, on TensorFlow.

    Of use for augmentations that ``vision/image_views`` lacks, such as RandAugment, AugMix and cutout. It is ten to a
    hundred times slower than that, cannot be compiled by XLA, and most of KerasCV's layers draw from TensorFlow's global
    generator, which this layer seeds when it is built: a run is repeatable from its start, but a run that goes on with
    ``--resume`` sees other views.

    Integer images are taken as 0..255 and floats as 0..1; the backbone gets 0..1.

    Args:
        views: how many views of each image.
        layers: names of augmentations, separated by commas, in the order in which they are applied.
        strength: of every one of them, 0 to 1.
        size: side of the views in pixels; 0 keeps the images' own size, which must then be square for ``crop``.
        seed: seed of the layers; None draws one.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        UsageError: on another backend than TensorFlow, or for an unknown layer.

    Example:
        >>> import numpy as np
        >>> first, second = CvViews(layers="flip,cutout", seed=0)(np.zeros((4, 32, 32, 3), "uint8"))
        >>> tuple(first.shape)
        (4, 32, 32, 3)

    References:
        https://github.com/keras-team/keras-cv; RandAugment: https://arxiv.org/abs/1909.13719
    """

    def __init__(
        self,
        *,
        views: int = 2,
        layers: str = "crop,flip,rand_augment",
        strength: float = 0.4,
        size: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if keras.config.backend() != "tensorflow":
            raise UsageError(
                f"cv_views works on the TensorFlow backend only, since KerasCV's layers do. This is "
                f"{keras.config.backend()}: use --preprocessor image_views."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(views=views, seed=seed, **kwargs)
        self.layers = layers
        self.strength = strength
        self.size = size
        self.names = _names(layers)
        self.built = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the layers: a crop has to know the side of the views.

        Args:
            input_shape: ``(batch, height, width, channels)`` of the raw images.
        """
        side = self.size or input_shape[1] or 0
        # Some layers take TensorFlow's global generator, which deterministic runs have to set, others its global seed.
        with tf.init_scope():
            tf.random.set_global_generator(tf.random.Generator.from_seed(self.seed or 0))
        if self.seed is not None:
            tf.random.set_seed(self.seed)
        self.pipeline = [augmentation(name, side, self.strength, self.seed) for name in self.names]
        self.built = True

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the views, each ``(batch, side, side, channels)`` of 0..1."""
        images = self._resized(self._scaled(inputs)) * 255.0
        grey = images.shape[-1] == 1
        if grey:  # half of the layers take colour only
            images = ops.repeat(images, 3, axis=-1)
        views = []
        for _ in range(self.views):
            view = self._augmented(images)
            view = ops.reshape(view, ops.shape(images))
            views.append(ops.clip((ops.mean(view, -1, keepdims=True) if grey else view) / 255.0, 0.0, 1.0))
        return tuple(views)

    def plain(self, inputs: Tensor) -> Tensor:
        """Scale to 0..1 and resize, without any randomness."""
        return self._resized(self._scaled(inputs))

    def check(self, inputs: Any) -> None:
        """Refuse arrays that are no images."""
        if len(inputs.shape) != 4:
            raise InputError(f"images must have the shape (count, height, width, channels). Received: {inputs.shape}.")
        if "crop" in self.names and not self.size and inputs.shape[1] != inputs.shape[2]:
            raise InputError(
                f"crop makes square views and the images are {inputs.shape[1]} x {inputs.shape[2]}. "
                "Name a side: -o preprocessor.size="
            )

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        own = {"layers": self.layers, "strength": self.strength, "size": self.size}
        return {**super().get_config(), **own}

    @tf.function(autograph=True)  # KerasCV branches on tensors in Python, and Keras' fit converts no code
    def _augmented(self, images: Tensor) -> Tensor:
        for layer in self.pipeline:
            images = tf.cast(layer(images, training=True), "float32")
        return images

    def _scaled(self, inputs: Tensor) -> Tensor:
        inputs = ops.convert_to_tensor(inputs)
        integers = "int" in keras.backend.standardize_dtype(inputs.dtype)
        images = ops.cast(inputs, "float32")
        return images / 255.0 if integers else images

    def _resized(self, images: Tensor) -> Tensor:
        if not self.size or tuple(images.shape[1:3]) == (self.size, self.size):
            return images
        return ops.image.resize(images, (self.size, self.size), antialias=True, data_format="channels_last")


def _names(layers: str) -> tuple[str, ...]:
    """Split and check the names."""
    names = tuple(name.strip() for name in layers.split(",") if name.strip())
    if not names:
        raise UsageError(f"`layers` must name at least one augmentation: {', '.join(AUGMENTATIONS)}.")
    for name in names:
        if reason := REFUSED.get(name):
            raise UsageError(f"`layers` cannot have {name}: {reason}. There are: {', '.join(AUGMENTATIONS)}.")
        if name not in AUGMENTATIONS:
            hint = did_you_mean(name, AUGMENTATIONS) or f"There are: {', '.join(AUGMENTATIONS)}."
            raise UsageError(f"`layers` has no augmentation '{name}'. {hint}")
    return names
