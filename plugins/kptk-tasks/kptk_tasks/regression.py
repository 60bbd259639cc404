"""Regression: one or several numbers a row."""

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
from kptk_tasks.numbers import refuse_nan, target_numbers

Array = NDArray[Any]


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Regression(Task):
    """A linear head on standardised targets; predictions are in the targets' own unit.

    Args:
        class_names: unused; a task is always called with them.
        row_shape: shape of one raw input.
        outputs: numbers a row, at least 1.
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, on targets of unit variance.
        **kwargs: passed to `keras.layers.Layer`.
    """

    metric = "r2"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        outputs: int = 1,
        loss: str = "mse",
        **kwargs: Any,
    ) -> None:
        del class_names  # the names of the values are no classes
        super().__init__(class_names=(), row_shape=row_shape, **kwargs)
        self.outputs = outputs
        self.loss_name = loss
        self.head = keras.layers.Dense(outputs, dtype="float32", name="numbers")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head, and the mean and spread of the targets."""
        self.head.build(input_shape)
        self.mean = self.add_weight(shape=(self.outputs,), initializer="zeros", trainable=False, name="mean")
        self.spread = self.add_weight(shape=(self.outputs,), initializer="ones", trainable=False, name="spread")
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Standardised numbers, shape ``(batch, outputs)``."""
        del training
        return self.head(ops.cast(features, "float32"))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Loss of each row on standardised targets."""
        labels = ops.reshape(ops.cast(labels, "float32"), (-1, self.outputs))
        error = (labels - self.mean) / self.spread - outputs
        size = ops.abs(error)
        if self.loss_name == "mae":
            each = size
        elif self.loss_name == "huber":
            each = ops.where(size < 1, 0.5 * ops.square(error), size - 0.5)
        else:
            each = ops.square(error)
        return ops.mean(each, axis=-1)

    def activate(self, outputs: Tensor) -> Tensor:
        """Numbers in the targets' unit."""
        return outputs * self.spread + self.mean

    def targets(self, source: Source) -> Array:
        """The numbers of each row."""
        values = target_numbers(source, self.name).astype("float32").reshape(len(source), -1)
        refuse_nan(values, source.describe())
        if values.shape[1] != self.outputs:
            raise InputError(
                f"{source.describe()}: there are {values.shape[1]} numbers a row, the task has {self.outputs}: "
                f"-o task.outputs={values.shape[1]}"
            )
        return values

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no number."""
        if labels.dtype.kind not in "fiub" or labels.size != len(labels) * self.outputs:
            raise InputError(
                f"regression takes {self.outputs} numbers a row. Received: shape {labels.shape}, dtype {labels.dtype}."
            )
        refuse_nan(labels.astype("float64"), "y")

    def adapt(self, labels: Array) -> None:
        """Learn mean and spread of the training targets."""
        labels = labels.reshape(-1, self.outputs).astype("float64")
        spread = labels.std(axis=0)
        self.mean.assign(labels.mean(axis=0).astype("float32"))
        self.spread.assign(np.where(spread > 0, spread, 1.0).astype("float32"))

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """R2, mean absolute error, root mean squared error; R2 is 0 for predicting the mean."""
        labels = labels.reshape(predictions.shape).astype("float64")
        error = labels - predictions
        scatter = np.sum((labels - labels.mean(axis=0)) ** 2)
        return {
            "r2": float(1 - np.sum(error**2) / scatter) if scatter > 0 else 0.0,
            "mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
        }

    def columns(self, predictions: Array) -> dict[str, Array]:
        """One column a number."""
        if self.outputs == 1:
            return {"prediction": predictions[:, 0]}
        return {f"prediction_{index}": predictions[:, index] for index in range(self.outputs)}

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """The class number as a number."""
        del inputs
        return np.repeat(classes[:, None], self.outputs, axis=1).astype("float32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "outputs": self.outputs, "loss": self.loss_name}
