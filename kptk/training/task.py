"""`Task`: the base of every task. Head, loss, metrics and the form of the predictions."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import HOW_TO_LABEL, Source
from kptk.errors import InputError
from kptk.training.examples import Examples
from kptk.types import Tensor

Array = NDArray[Any]


class Task(Examples, keras.layers.Layer, abc.ABC):
    """Abstract layer from features to outputs, with everything that makes a task of it. Plugins subclass it.

    What a task overrides whose examples are more than a row with an answer is in `kptk.training.examples.Examples`.

    A leaf creates its head in `build` and runs it in `call`, says with `row_loss` how wrong an output is, with
    `activate` what a prediction is, with `score` how good predictions are, and with `columns` how they are written.
    It is saved within the model, so labels keep their names from training to prediction.

    Attributes:
        features: what the head takes: ``"vector"``, ``"map"``, ``"sequence"``; or ``"pair"``, the vectors of two inputs, of
            shape ``(batch, 2, dim)``.
        metric: the figure of `score` by which a model is chosen.
        higher_is_better: whether more of it is better.
        learns_from_labels: whether `targets` means anything; if not, `input_targets` does.

    Args:
        class_names: the name of each class; empty where labels are no classes.
        row_shape: shape of one raw input.
        **kwargs: passed to `keras.layers.Layer`.
    """

    features: ClassVar[str] = "vector"
    metric: str = "loss"
    higher_is_better: ClassVar[bool] = True
    learns_from_labels: ClassVar[bool] = True

    def __init__(self, *, class_names: tuple[str, ...] = (), row_shape: tuple[int, ...] = (), **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")  # a loss keeps its precision under a mixed policy
        super().__init__(**kwargs)
        self.class_names = tuple(class_names)
        self.row_shape = tuple(row_shape)

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """The class names that a task for these labels has.

        Args:
            source: the training data.
        """
        return source.class_names

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks within this one, usually itself alone.

        `call` of a task with more than one also takes features of each task's own, shape ``(batch, tasks, dim)``.
        """
        return (self.name,)

    # What a leaf writes, beside `score` and `columns` of `Examples` ---------------------------------------------------

    @abc.abstractmethod
    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Run the head.

        Args:
            features: what the strategy made of the inputs, shape ``(batch, dim)`` where `features` is ``"vector"``.
            training: whether dropout is on.
        """

    @abc.abstractmethod
    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Loss of each row, shape ``(batch,)``.

        Args:
            labels: as `targets` makes them.
            outputs: what `call` returned.
        """

    @abc.abstractmethod
    def activate(self, outputs: Tensor) -> Tensor:
        """From outputs to predictions, such as logits to probabilities; part of the exported model.

        Args:
            outputs: what `call` returned.
        """

    @abc.abstractmethod
    def targets(self, source: Source) -> Array:
        """The labels of a source in the form that `row_loss` takes.

        Args:
            source: labelled data.

        Raises:
            InputError: if they are missing, not numbers, or of a class that this task does not know.
        """

    def known(self, labels: Tensor) -> Tensor:
        """Which rows have a label, shape ``(batch,)``; the others are left out of the loss.

        Args:
            labels: as `targets` makes them.
        """
        return ops.ones(ops.shape(labels)[:1], dtype="bool")

    def adapt(self, labels: Array) -> None:
        """Learn constants from the training labels, such as class weights, before training begins.

        Args:
            labels: as `targets` makes them.
        """

    def has_label(self, labels: Array) -> Array:
        """Which rows have a label, as `known` for whole data.

        Args:
            labels: as `targets` makes them.
        """
        return np.asarray(ops.convert_to_numpy(self.known(labels)), dtype=bool)

    def check_labels(self, labels: Array) -> None:
        """Look at the labels that `fit` got and refuse what cannot be meant.

        Args:
            labels: the array that was passed as ``y``.

        Raises:
            InputError: if they are not what `row_loss` takes.
        """

    def fit_metrics(self) -> list[Any]:
        """Keras metrics that `compile` gets if the user names none."""
        return []

    def strata(self, labels: Array) -> Array | None:
        """A class number for each row, to draw rows by class; None where labels are no classes.

        Args:
            labels: as `targets` makes them.
        """
        del labels
        return None

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """Labels for a few easy rows, on which `kptk.testing` tries the task; None for a task without labels.

        Args:
            inputs: raw inputs.
            classes: a class number of each row.
        """
        del inputs
        return classes if self.learns_from_labels else None

    def input_targets(self, prepared: Tensor) -> Tensor | None:
        """Targets that a task without labels makes of its inputs; None for a task with labels.

        Args:
            prepared: inputs as the preprocessor gives them.
        """
        del prepared
        return None

    def evaluation_rows(self, rows: Array) -> Array:
        """Raw rows to evaluate on: the rows themselves, unless the task is to restore what this takes away.

        Args:
            rows: raw rows, from their beginning in batches; the same rows must give the same answer.
        """
        return rows

    def degrade(self, prepared: Tensor, training: bool) -> Tensor:
        """What the backbone sees of prepared inputs: all, unless the task is to restore what this takes away.

        Args:
            prepared: inputs as the preprocessor gives them.
            training: whether this is a training step.
        """
        del training
        return prepared

    # What the base does ------------------------------------------------------------------------------------------

    def loss(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss of the rows that have a label.

        Args:
            labels: as `targets` makes them.
            outputs: what `call` returned.
            weights: a weight for each row, or None.

        Returns:
            A scalar; 0 if no row of the batch has a label.
        """
        known = ops.cast(self.known(labels), "float32")
        rows = ops.cast(self.row_loss(labels, outputs), "float32")
        # A row without a label may have any loss, even NaN: multiplying would keep the NaN.
        rows = ops.where(known > 0, rows, ops.zeros_like(rows))
        if weights is not None:
            rows = rows * ops.cast(ops.reshape(weights, (-1,)), "float32")
        return ops.sum(rows) / ops.maximum(ops.sum(known), 1.0)

    def better(self, score: dict[str, float], best: dict[str, float] | None) -> bool:
        """Whether a score is at least as good as the best so far: by the task's metric, then by the loss.

        Args:
            score: of this epoch, with a ``"loss"``.
            best: of the best epoch, or None.
        """
        if best is None:
            return True
        sign = 1 if self.higher_is_better else -1
        key = (sign * score[self.metric], -score.get("loss", 0.0))
        return bool(np.isfinite(key[0]) and key >= (sign * best[self.metric], -best.get("loss", 0.0)))

    def class_numbers(self, source: Source) -> Array:
        """Class numbers of a source in this task's order of classes, by name.

        Args:
            source: data with one class a row.

        Raises:
            InputError: if there are no classes, or one that the task does not know.
        """
        if source.labels is None:
            raise no_classes(source, self.name)
        number = {name: index for index, name in enumerate(self.class_names)}
        used = np.unique(source.labels[source.labels >= 0])  # -1: a row without a label
        unseen = [source.class_names[label] for label in used if source.class_names[label] not in number]
        if unseen:
            raise InputError(
                f"{source.describe()}: class '{unseen[0]}' was not among the {len(number)} classes that the model learned "
                f"({', '.join(self.class_names[:8])}{', ...' if len(number) > 8 else ''})"
                f"{f'; {len(unseen)} classes are unknown' if len(unseen) > 1 else ''}. "
                "Leave those rows out, or fine-tune with them."
            )
        table = np.array([number.get(name, -1) for name in source.class_names], dtype=np.int64)
        return np.where(source.labels >= 0, table[source.labels], -1)

    def get_config(self) -> dict[str, Any]:
        """Return the class names and the shape of a row; a leaf adds its options."""
        return {**super().get_config(), "class_names": list(self.class_names), "row_shape": list(self.row_shape)}


def no_classes(source: Source, task: str) -> InputError:
    """Build the error for data without classes.

    Args:
        source: the data.
        task: name of the task that needs them.
    """
    return InputError(f"{source.describe()}: {task} needs a class for each row. {HOW_TO_LABEL}")
