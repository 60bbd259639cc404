"""Classification: one class a row, or several."""

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
MISSING = -1
"""As a class number: the row has no label."""


def cross_entropy(labels: Tensor, logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy of each row; smoothing mixes the target with the uniform distribution.

    Args:
        labels: class numbers, shape ``(batch,)``.
        logits: shape ``(batch, classes)``.
        smoothing: weight of the uniform distribution, 0 <= smoothing < 1.

    Returns:
        Shape ``(batch,)``.
    """
    classes = logits.shape[-1]
    target = (1 - smoothing) * ops.one_hot(labels, classes) + smoothing / classes
    return -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Classification(Task):
    """A linear head with softmax cross-entropy. A label of -1 means that the row has none.

    Args:
        class_names: the name of each class, two or more.
        row_shape: shape of one raw input.
        class_weight: ``"balanced"`` weighs each row with the inverse frequency of its class among the training labels.
        label_smoothing: weight of the uniform distribution in the target, 0 <= smoothing < 1.
        dropout: fraction of the features dropped before the head, 0 <= dropout < 1.
        **kwargs: passed to `keras.layers.Layer`.
    """

    metric = "accuracy"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        class_weight: str = "none",
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(class_names=class_names, row_shape=row_shape, **kwargs)
        if len(self.class_names) < 2:
            raise InputError(
                f"classification needs labels of at least two classes. Received: {len(self.class_names)} "
                f"({', '.join(self.class_names) or 'no class names'})."
            )
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout, dtype="float32")
        self.head = keras.layers.Dense(len(self.class_names), dtype="float32", name="logits")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head and the class weights."""
        self.head.build(input_shape)
        self.weights_of_classes = self.add_weight(
            shape=(len(self.class_names),), initializer="ones", trainable=False, name="class_weights"
        )
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits, shape ``(batch, classes)``."""
        return self.head(self.drop(ops.cast(features, "float32"), training=training))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Weighted cross-entropy of each row."""
        labels = ops.maximum(ops.cast(ops.reshape(labels, (-1,)), "int32"), 0)
        return cross_entropy(labels, outputs, self.label_smoothing) * ops.take(self.weights_of_classes, labels)

    def activate(self, outputs: Tensor) -> Tensor:
        """Probabilities."""
        return ops.softmax(outputs, axis=-1)

    def known(self, labels: Tensor) -> Tensor:
        """Rows with a class."""
        return ops.reshape(labels, (-1,)) >= 0

    def targets(self, source: Source) -> Array:
        """Class numbers."""
        return self.class_numbers(source)

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no class number."""
        numbers = labels.reshape(-1)
        whole = numbers.dtype.kind in "iub" or (numbers.dtype.kind == "f" and np.isfinite(numbers).all())
        if labels.size != len(labels) or not whole or (numbers != np.rint(numbers)).any():
            raise InputError(
                f"classification takes one class number a row. Received: shape {labels.shape}, dtype {labels.dtype}"
                f"{', with NaN' if numbers.dtype.kind == 'f' and np.isnan(numbers).any() else ''}."
            )
        if numbers.max() >= len(self.class_names) or numbers.min() < MISSING:
            raise InputError(
                f"class numbers must be 0..{len(self.class_names) - 1}, or -1 for a row without a label. "
                f"Received: {numbers.min():g}..{numbers.max():g}."
            )
        if (numbers == MISSING).all():
            raise InputError("every label is missing (-1), so there is nothing to learn from.")

    def adapt(self, labels: Array) -> None:
        """Compute balanced class weights; their mean over the rows is 1."""
        if self.class_weight != "balanced":
            return
        numbers = labels[labels >= 0].astype(int).reshape(-1)
        counts = np.bincount(numbers, minlength=len(self.class_names))
        used = np.count_nonzero(counts)
        weights = np.where(counts > 0, len(numbers) / (used * np.maximum(counts, 1)), 1.0)
        self.weights_of_classes.assign(weights.astype("float32"))

    def strata(self, labels: Array) -> Array:
        """The class numbers themselves."""
        return labels

    def fit_metrics(self) -> list[Any]:
        """Accuracy."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Accuracy, macro-F1 and log loss of the rows that have a label."""
        from sklearn.metrics import f1_score

        rows = np.flatnonzero(labels >= 0)
        labels, predictions = labels[rows].astype(int), predictions[rows].astype(np.float64)
        chosen = predictions.argmax(axis=-1)
        right = np.maximum(predictions[np.arange(len(labels)), labels], 1e-12)
        return {
            "accuracy": float((chosen == labels).mean()),
            "macro_f1": float(f1_score(labels, chosen, average="macro", zero_division=0.0)),
            "loss": float(-np.log(right).mean()),
        }

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The likeliest class by name, its probability, and the probability of each class."""
        chosen = predictions.argmax(axis=-1)
        table = {
            "prediction": np.array(self.class_names)[chosen],
            "probability": predictions[np.arange(len(chosen)), chosen],
        }
        return table | {f"p_{name}": predictions[:, index] for index, name in enumerate(self.class_names)}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("class_weight", "label_smoothing", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
