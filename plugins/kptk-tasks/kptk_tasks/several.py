"""Several tasks on one trunk: hard parameter sharing, with a head for each and labels that may be missing."""

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
from kptk_tasks.classification import cross_entropy
from kptk_tasks.columns import NUMBER, parse_columns
from kptk_tasks.gradnorm import balance_loss, feature_gradient_norms, first_losses
from kptk_tasks.numbers import target_numbers

Array = NDArray[Any]
MOST_CLASSES = 100
"""A column of whole numbers from 0 up to this is taken for classes unless it is said otherwise."""


def weighted(losses: Tensor, known: Tensor, log_sigma: Tensor | None) -> Tensor:
    """Loss of each row from its tasks' losses: their mean, or weighed by learned uncertainties.

        mean over the known tasks of  L            (equal)
        mean over the known tasks of  L / (2 sigma^2) + log sigma     (uncertainty)

    Args:
        losses: shape ``(batch, tasks)``.
        known: 1 where the label is known, the same shape.
        log_sigma: logarithm of each task's uncertainty, shape ``(tasks,)``; None for equal weights.

    Returns:
        Shape ``(batch,)``; 0 for a row without a label.

    References:
        Kendall, Gal and Cipolla 2018, https://arxiv.org/abs/1705.07115
    """
    if log_sigma is not None:
        losses = 0.5 * ops.exp(-2.0 * log_sigma) * losses + log_sigma
    return ops.sum(losses * known, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Several(Task):
    """A linear head for each of several tasks on the same features. NaN in a target: this label of this row is not known.

    Args:
        class_names: the tasks, as in `tasks`, where that is empty.
        row_shape: shape of one raw input.
        tasks: name and number of classes of each column of the labels, such as ``"digit:10,slant:number"``; empty to tell
            from the labels.
        weighting: ``"equal"``; ``"uncertainty"`` to learn how much each task counts; or ``"gradnorm_features"`` to learn it
            so that the tasks train at similar rates, see `kptk_tasks.gradnorm`.
        alpha: of GradNorm: how much faster a task that lags behind is made to train, at least 0.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        Caruana 1997, https://doi.org/10.1023/A:1007379606734
    """

    metric = "mean"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        tasks: str = "",
        weighting: str = "equal",
        alpha: float = 1.5,
        **kwargs: Any,
    ) -> None:
        self.parts = parse_columns(tasks or ",".join(class_names))
        if not self.parts:
            raise InputError("several needs labels of one column a task: an .npz whose y has the shape (rows, tasks).")
        names = tuple(f"{part.name}:{part.classes or NUMBER}" for part in self.parts)
        super().__init__(class_names=names, row_shape=row_shape, **kwargs)
        self.tasks = tasks
        self.weighting = weighting
        self.alpha = alpha
        # One matrix holds the heads side by side: what they share is the trunk, and no weight of one is another's.
        self.head = keras.layers.Dense(self.parts[-1].outputs.stop, dtype="float32", name="heads")

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """Tell classes from numbers by what is in each column."""
        values = source.targets
        if values is None or np.ndim(values) != 2:
            return ()
        names = []
        for index, column in enumerate(np.asarray(values, dtype="float64").T):
            there = column[~np.isnan(column)]
            whole = (
                len(there) > 0 and (there == np.rint(there)).all() and there.min() >= 0 and there.max() < MOST_CLASSES
            )
            names.append(f"{index}:{int(there.max()) + 1 if whole and there.max() >= 1 else NUMBER}")
        return tuple(names)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the heads, the scale of the numbers, and the uncertainties."""
        self.head.build(input_shape)
        count = (len(self.parts),)
        self.mean = self.add_weight(shape=count, initializer="zeros", trainable=False, name="mean")
        self.spread = self.add_weight(shape=count, initializer="ones", trainable=False, name="spread")
        self.log_sigma = self.balance = None
        if self.weighting == "uncertainty":
            self.log_sigma = self.add_weight(shape=count, initializer="zeros", name="log_sigma")
        if self.weighting == "gradnorm_features":
            self.balance = self.add_weight(shape=count, initializer="zeros", name="balance")
        self.built = True

    @property
    def task_names(self) -> tuple[str, ...]:
        """One name a column."""
        return tuple(part.name for part in self.parts)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits and standardised numbers side by side, shape ``(batch, outputs)``.

        Args:
            features: shape ``(batch, dim)``; or ``(batch, tasks, dim)`` where each task has features of its own.
            training: changes nothing.
        """
        del training
        features = ops.cast(features, "float32")
        outputs = self.head(features)
        if len(features.shape) == 2:
            return outputs
        own = [outputs[:, index, part.outputs] for index, part in enumerate(self.parts)]
        return ops.concatenate(own, axis=-1)

    def task_losses(self, labels: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each row and task, and which labels are known, both of shape ``(batch, tasks)``.

        Args:
            labels: as `targets` makes them.
            outputs: what `call` returned.
        """
        labels = ops.cast(labels, "float32")
        there = ops.logical_not(ops.isnan(labels))
        filled = ops.where(there, labels, ops.zeros_like(labels))
        losses = []
        for index, part in enumerate(self.parts):
            own, wanted = outputs[:, part.outputs], filled[:, index]
            if part.classes:
                losses.append(cross_entropy(ops.cast(wanted, "int32"), own))
            else:
                losses.append(ops.square((wanted - self.mean[index]) / self.spread[index] - own[:, 0]))
        return ops.stack(losses, axis=-1), ops.cast(there, "float32")

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Loss of each row over the tasks whose label is known."""
        losses, known = self.task_losses(labels, outputs)
        if self.balance is not None:
            losses = losses * ops.stop_gradient(self.task_weights())
        return weighted(losses, known, self.log_sigma)

    def task_weights(self) -> Tensor:
        """GradNorm's weights: positive, with the number of tasks as their sum, shape ``(tasks,)``."""
        return len(self.parts) * ops.softmax(self.balance)

    def loss(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss of the rows that have a label, and what moves GradNorm's weights."""
        loss = super().loss(labels, outputs, weights)
        if self.balance is None:
            return loss
        losses, known = (ops.stop_gradient(part) for part in self.task_losses(labels, outputs))
        standard = (ops.cast(labels, "float32") - self.mean) / self.spread
        targets = [ops.cast(labels, "float32")[:, i] if p.classes else standard[:, i] for i, p in enumerate(self.parts)]
        norms = feature_gradient_norms(self.parts, ops.stop_gradient(outputs), targets, known, self.head.kernel)
        means = ops.sum(losses * known, axis=0) / ops.maximum(ops.sum(known, axis=0), 1.0)
        return loss + balance_loss(self.task_weights(), norms, means / first_losses(self.parts), self.alpha)

    def activate(self, outputs: Tensor) -> Tensor:
        """Probabilities of each class task and numbers in their own unit, side by side."""
        made = []
        for index, part in enumerate(self.parts):
            own = outputs[:, part.outputs]
            made.append(ops.softmax(own, axis=-1) if part.classes else own * self.spread[index] + self.mean[index])
        return ops.concatenate(made, axis=-1)

    def known(self, labels: Tensor) -> Tensor:
        """Rows with at least one label."""
        return ops.any(ops.logical_not(ops.isnan(ops.cast(labels, "float32"))), axis=-1)

    def targets(self, source: Source) -> Array:
        """One column a task, NaN where unknown."""
        values = target_numbers(source, self.name).astype("float32").reshape(len(source), -1)
        self.check_labels(values)
        return values

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no class number or number of its task."""
        values = labels.astype("float64")
        if values.ndim != 2 or values.shape[1] != len(self.parts):
            raise InputError(
                f"several takes one column a task, {len(self.parts)} here ({', '.join(self.class_names)}). "
                f"Received: shape {labels.shape}."
            )
        if np.isinf(values).any():
            raise InputError("labels must be numbers, or NaN where there is none. Received: infinity.")
        if np.isnan(values).all():
            raise InputError("every label is missing (NaN), so there is nothing to learn from.")
        for part, column in zip(self.parts, values.T, strict=True):
            there = column[~np.isnan(column)]
            if (
                part.classes
                and len(there)
                and ((there != np.rint(there)).any() or not 0 <= there.min() <= there.max() < part.classes)
            ):
                raise InputError(
                    f"labels of task '{part.name}' must be whole numbers of 0..{part.classes - 1}, or NaN. "
                    f"Received: {there.min():g}..{there.max():g}."
                )

    def adapt(self, labels: Array) -> None:
        """Learn mean and spread of the numbers among the training labels."""
        means, spreads = np.zeros(len(self.parts)), np.ones(len(self.parts))
        for index, part in enumerate(self.parts):
            there = labels[:, index][~np.isnan(labels[:, index])]
            if not part.classes and len(there):
                means[index], spreads[index] = there.mean(), there.std() or 1.0
        self.mean.assign(means.astype("float32"))
        self.spread.assign(spreads.astype("float32"))

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Accuracy of each class task, R2 of each number, and the mean of them all."""
        figures: dict[str, float] = {}
        for part, column in zip(self.parts, labels.T.astype("float64"), strict=True):
            rows = ~np.isnan(column)
            if not rows.any():
                continue
            truth, own = column[rows], predictions[rows][:, part.outputs].astype("float64")
            if part.classes:
                figures[f"{part.name}_accuracy"] = float((own.argmax(-1) == truth).mean())
            else:
                scatter = np.square(truth - truth.mean()).sum()
                figures[f"{part.name}_r2"] = float(1 - np.square(truth - own[:, 0]).sum() / scatter) if scatter else 0.0
        return {"mean": float(np.mean(list(figures.values()))) if figures else 0.0, **figures}

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The likeliest class with its probability, or the number, of each task."""
        table: dict[str, Array] = {}
        for part in self.parts:
            own = predictions[:, part.outputs]
            table[part.name] = own.argmax(-1) if part.classes else own[:, 0]
            if part.classes:
                table[f"{part.name}_probability"] = own.max(-1)
        return table

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """The class number for each class task, and whether it is this column's for each number."""
        del inputs
        made = [classes % part.classes if part.classes else classes == index for index, part in enumerate(self.parts)]
        return np.stack(made, axis=1).astype("float32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "tasks": self.tasks, "weighting": self.weighting, "alpha": self.alpha}
