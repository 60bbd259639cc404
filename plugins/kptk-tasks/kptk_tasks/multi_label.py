"""Multi-label classification: each of several labels is there or not."""

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
from kptk_tasks.numbers import target_numbers

Array = NDArray[Any]


def binary_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Sigmoid cross-entropy of each label: ``max(z, 0) - z y + ln(1 + exp(-|z|))``.

    Args:
        labels: 0 or 1, shape ``(batch, labels)``.
        logits: the same shape.

    Returns:
        The same shape.
    """
    return ops.maximum(logits, 0.0) - logits * labels + ops.log1p(ops.exp(-ops.abs(logits)))


@keras.saving.register_keras_serializable(package="kptk_tasks")
class MultiLabel(Task):
    """A linear head with one sigmoid a label. NaN in a target means that this label of this row is not known.

    Args:
        class_names: the name of each label; numbered if there are none.
        row_shape: shape of one raw input.
        labels: number of labels, if they have no names.
        class_weight: ``"balanced"`` weighs the positives of a label by its negatives over its positives.
        **kwargs: passed to `keras.layers.Layer`.
    """

    metric = "auroc"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        labels: int = 0,
        class_weight: str = "none",
        **kwargs: Any,
    ) -> None:
        names = tuple(class_names) if len(class_names) and (not labels or len(class_names) == labels) else ()
        super().__init__(class_names=names or tuple(map(str, range(labels))), row_shape=row_shape, **kwargs)
        if not self.class_names:
            raise InputError("multi_label needs the number of labels: -o task.labels=N")
        self.labels = labels
        self.class_weight = class_weight
        self.head = keras.layers.Dense(len(self.class_names), dtype="float32", name="logits")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head and the weights of the positives."""
        self.head.build(input_shape)
        self.positive_weights = self.add_weight(
            shape=(len(self.class_names),), initializer="ones", trainable=False, name="positive_weights"
        )
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits, shape ``(batch, labels)``."""
        del training
        return self.head(ops.cast(features, "float32"))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the known labels of each row."""
        labels = ops.cast(labels, "float32")
        there = ops.logical_not(ops.isnan(labels))
        filled = ops.where(there, labels, ops.zeros_like(labels))
        weights = ops.where(filled > 0.5, self.positive_weights, ops.ones_like(filled)) * ops.cast(there, "float32")
        each = binary_cross_entropy(filled, outputs) * weights
        return ops.sum(each, axis=-1) / ops.maximum(ops.sum(ops.cast(there, "float32"), axis=-1), 1.0)

    def activate(self, outputs: Tensor) -> Tensor:
        """A probability for each label."""
        return ops.sigmoid(outputs)

    def known(self, labels: Tensor) -> Tensor:
        """Rows with at least one known label."""
        return ops.any(ops.logical_not(ops.isnan(ops.cast(labels, "float32"))), axis=-1)

    def targets(self, source: Source) -> Array:
        """One column a label, 0 or 1, NaN where unknown."""
        values = target_numbers(source, self.name).astype("float32")
        values = values.reshape(len(source), -1)
        if values.shape[1] != len(self.class_names):
            raise InputError(
                f"{source.describe()}: {values.shape[1]} labels a row, the task has {len(self.class_names)}."
            )
        self.check_labels(values)
        return values

    def check_labels(self, labels: Array) -> None:
        """Refuse what is neither 0, 1 nor NaN."""
        values = labels.astype("float64")
        if values.ndim != 2 or not np.isin(values[~np.isnan(values)], (0, 1)).all():
            raise InputError(
                f"multi_label takes 0, 1 or NaN for each label, shape (rows, labels). Received: shape {labels.shape}."
            )
        if np.isnan(values).all():
            raise InputError("every label is missing (NaN), so there is nothing to learn from.")

    def adapt(self, labels: Array) -> None:
        """Compute the weights of the positives."""
        if self.class_weight == "balanced":
            positives, negatives = np.nansum(labels == 1, axis=0), np.nansum(labels == 0, axis=0)
            self.positive_weights.assign(
                np.where(positives > 0, negatives / np.maximum(positives, 1), 1.0).astype("float32")
            )

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Mean AUROC and F1 over the labels that occur both ways, and the share of right answers."""
        from sklearn.metrics import f1_score, roc_auc_score

        areas, f1s, right = [], [], []
        for truth, guess in zip(labels.T, predictions.T, strict=True):
            rows = ~np.isnan(truth)
            right.append((guess[rows] > 0.5) == (truth[rows] > 0.5))
            if len(np.unique(truth[rows])) == 2:
                areas.append(roc_auc_score(truth[rows], guess[rows]))
                f1s.append(f1_score(truth[rows], guess[rows] > 0.5, zero_division=0.0))
        return {
            "auroc": float(np.mean(areas)) if areas else 0.5,
            "f1": float(np.mean(f1s)) if f1s else 0.0,
            "accuracy": float(np.concatenate(right).mean()),
        }

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The names of the labels above one half, and a probability for each."""
        chosen = [" ".join(n for n, p in zip(self.class_names, row, strict=True) if p > 0.5) for row in predictions]
        table: dict[str, Array] = {"prediction": np.array(chosen)}
        return table | {f"p_{name}": predictions[:, index] for index, name in enumerate(self.class_names)}

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """One label a class."""
        del inputs
        return np.eye(len(self.class_names), dtype="float32")[classes % len(self.class_names)]

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "labels": self.labels, "class_weight": self.class_weight}
