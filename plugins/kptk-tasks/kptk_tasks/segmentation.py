"""Semantic segmentation: a class for each pixel."""

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


def intersection_over_union(truth: Array, guess: Array, classes: int) -> Array:
    """Intersection over union of each class over all pixels; NaN for a class that is in neither.

    Args:
        truth: class numbers, any shape.
        guess: class numbers of the same shape.
        classes: number of classes.
    """
    table = np.bincount(truth.ravel() * classes + guess.ravel(), minlength=classes**2).reshape(classes, classes)
    both = np.diag(table).astype(float)
    either = table.sum(axis=0) + table.sum(axis=1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Segmentation(Task):
    """A 1 x 1 convolution with softmax cross-entropy at each pixel, resized to the image if the map is smaller.

    Pixels of a negative class, or of the class `ignore`, count for nothing.

    Args:
        class_names: the name of each class, two or more; a run numbers those of the masks.
        row_shape: shape of one raw image.
        ignore: class number of pixels without a label.
        **kwargs: passed to `keras.layers.Layer`.
    """

    features = "map"
    metric = "mean_iou"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        ignore: int = 255,
        **kwargs: Any,
    ) -> None:
        super().__init__(class_names=class_names, row_shape=row_shape, **kwargs)
        if len(self.class_names) < 2:
            raise InputError(f"segmentation needs masks of at least two classes. Received: {len(self.class_names)}.")
        self.ignore = ignore
        self.head = keras.layers.Conv2D(len(self.class_names), 1, dtype="float32", name="logits")

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """The class numbers in the masks, ``0 ..``."""
        if source.targets is None or source.targets.ndim != 3:
            return ()
        masks: Array = np.asarray(source.targets)
        used = masks[masks < 255]
        return tuple(str(number) for number in range(int(used.max()) + 1)) if used.size else ()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head."""
        self.head.build(input_shape)
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits, shape ``(batch, height, width, classes)``."""
        del training
        logits = self.head(ops.cast(features, "float32"))
        size = self.row_shape[:2]
        return logits if tuple(logits.shape[1:3]) == size else ops.image.resize(logits, size, interpolation="bilinear")

    def _there(self, labels: Tensor) -> Tensor:
        return ops.logical_and(labels >= 0, labels != self.ignore)

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the labelled pixels of each image."""
        labels = ops.cast(labels, "int32")
        there = self._there(labels)
        chosen = ops.where(there, labels, ops.zeros_like(labels))
        picked = ops.take_along_axis(ops.log_softmax(outputs, axis=-1), chosen[..., None], axis=-1)[..., 0]
        weights = ops.cast(there, "float32")
        return -ops.sum(picked * weights, axis=(1, 2)) / ops.maximum(ops.sum(weights, axis=(1, 2)), 1.0)

    def activate(self, outputs: Tensor) -> Tensor:
        """Probabilities at each pixel."""
        return ops.softmax(outputs, axis=-1)

    def known(self, labels: Tensor) -> Tensor:
        """Images with at least one labelled pixel."""
        return ops.any(self._there(ops.cast(labels, "int32")), axis=(1, 2))

    def targets(self, source: Source) -> Array:
        """The masks."""
        if source.targets is None:
            raise InputError(
                f"{source.describe()}: segmentation needs masks: an .npz with y of shape (rows, height, width)."
            )
        masks = np.asarray(source.targets)
        if masks.shape[1:] != self.row_shape[:2]:
            wanted = " x ".join(map(str, self.row_shape[:2]))
            raise InputError(
                f"{source.describe()}: masks must have the size of the images, {wanted}. "
                f"Received: {' x '.join(map(str, masks.shape[1:]))}."
            )
        self.check_labels(masks)
        return masks.astype("int32")

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no class number of this task."""
        if labels.ndim != 3 or not np.isfinite(labels.astype("float64")).all() or (labels != np.rint(labels)).any():
            raise InputError(
                f"segmentation takes whole class numbers, shape (rows, height, width). Received: {labels.shape}."
            )
        used = labels[(labels >= 0) & (labels != self.ignore)]
        if not used.size:
            raise InputError("every pixel is without a label, so there is nothing to learn from.")
        if used.max() >= len(self.class_names):
            raise InputError(f"class {int(used.max())} in a mask was not among the {len(self.class_names)} classes.")

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Mean intersection over union of the classes that occur, and the share of right pixels."""
        guess = predictions.argmax(axis=-1)
        there = (labels >= 0) & (labels != self.ignore)
        each = intersection_over_union(labels[there].astype(int), guess[there], len(self.class_names))
        return {"mean_iou": float(np.nanmean(each)), "pixel_accuracy": float((guess == labels)[there].mean())}

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The class number of each pixel, and the share of the image that each class takes."""
        guess = predictions.argmax(axis=-1)
        table: dict[str, Array] = {"prediction": guess}
        return table | {f"share_{n}": (guess == i).mean(axis=(1, 2)) for i, n in enumerate(self.class_names)}

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """The class of the image in its upper half, the next one in the lower."""
        masks = np.repeat(np.repeat(classes[:, None, None], inputs.shape[1], axis=1), inputs.shape[2], axis=2)
        masks[:, inputs.shape[1] // 2 :] = (masks[:, inputs.shape[1] // 2 :] + 1) % len(self.class_names)
        return masks.astype("int32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "ignore": self.ignore}
