"""Denoising: the clean image from a noisy one; no labels needed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.task import Task
from kptk.types import Tensor

Array = NDArray[Any]


def psnr(truth: Array, guess: Array) -> float:
    """Mean peak signal-to-noise ratio of images of 0..1, in decibels: ``10 log10(1 / MSE)``.

    Args:
        truth: shape ``(rows, height, width, channels)``.
        guess: the same shape.
    """
    error = ((truth.astype("float64") - guess) ** 2).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(np.maximum(error, 1e-10))).mean())


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Denoising(Task):
    """A convolution to the clean image; trained on images to which Gaussian noise is added.

    Args:
        class_names: unused; a task is always called with them.
        row_shape: shape of one raw image.
        stddev: standard deviation of the noise on the 0..1 scale, above 0.
        seed: of the noise while training; None draws one.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        Zhang et al. 2017, DnCNN, https://arxiv.org/abs/1608.03981
    """

    features = "map"
    metric = "psnr"
    learns_from_labels = False

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        stddev: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        del class_names  # nothing is classified
        super().__init__(class_names=(), row_shape=row_shape, **kwargs)
        self.stddev = stddev
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.head = keras.layers.Conv2D(
            row_shape[-1] if row_shape else 3, 3, padding="same", dtype="float32", name="image"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head."""
        self.head.build(input_shape)
        self.built = True

    def degrade(self, prepared: Tensor, training: bool) -> Tensor:
        """Add noise in training; images to predict are noisy already."""
        if not training:
            return prepared
        noise = keras.random.normal(ops.shape(prepared), dtype="float32", seed=self.seed_generator)
        return prepared + ops.cast(self.stddev * noise, prepared.dtype)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Images, shape ``(batch, height, width, channels)``."""
        del training
        image = self.head(ops.cast(features, "float32"))
        size = self.row_shape[:2]
        return image if tuple(image.shape[1:3]) == size else ops.image.resize(image, size, interpolation="bilinear")

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean squared error of each image."""
        return ops.mean(ops.square(outputs - ops.cast(labels, "float32")), axis=(1, 2, 3))

    def activate(self, outputs: Tensor) -> Tensor:
        """Images of 0..1."""
        return ops.clip(outputs, 0.0, 1.0)

    def targets(self, source: Source) -> Array:
        """Refuse: the targets are made from the inputs, see `input_targets`."""
        raise InputError(f"task {self.name} makes its targets from the images themselves: {source.describe()}.")

    def input_targets(self, prepared: Tensor) -> Tensor:
        """The clean images."""
        return ops.cast(prepared, "float32")

    def evaluation_rows(self, rows: Array) -> Array:
        """Rows with noise, always the same for the same rows."""
        scale = 255.0 if rows.dtype.kind in "iu" else 1.0
        noise = np.random.default_rng(self.seed).normal(size=rows.shape, scale=self.stddev * scale)
        noisy = rows.astype("float64") + noise
        if rows.dtype.kind in "iu":
            return np.clip(np.rint(noisy), 0, 255).astype(rows.dtype)
        return noisy.astype(rows.dtype)

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Peak signal-to-noise ratio, and the mean squared error."""
        return {"psnr": psnr(labels, predictions), "mse": float(((labels - predictions) ** 2).mean())}

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The clean image, as bytes row by row."""
        return {"prediction": np.rint(255 * predictions).astype("uint8")}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}
