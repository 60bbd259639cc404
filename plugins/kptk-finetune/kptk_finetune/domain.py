"""`DomainStrategy`: the base of strategies that learn from labels in one domain and rows without labels in another."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.data import ArraySource, Source
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.training.assemble import open_like
from kptk.training.phases import Phase
from kptk.training.prepared import Prepared
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.mixed import Mixed

GAMMA = 10.0
"""How fast a domain loss sets in."""


def reversal_strength(progress: Tensor) -> Tensor:
    """``2 / (1 + exp(-10 p)) - 1``: from 0 to nearly 1, so that the domains do not disturb the beginning.

    Args:
        progress: `p`, how much of the training is done, 0 to 1.

    References:
        https://arxiv.org/abs/1505.07818, section 5.2.2
    """
    return 2.0 / (1.0 + ops.exp(-GAMMA * progress)) - 1.0


@dataclass(slots=True)
class _Held:
    """The target domain's rows and the length of the training; an object of its own, so that Keras does not save it."""

    target: Any
    steps: int = 0


class DomainStrategy(Strategy, abc.ABC):
    """Abstract: all weights train on ``task's loss + weight * domain loss``; batches hold both domains half and half.

    In a batch, a row without a label is of the target domain. `fit` mixes the target's rows in by itself where it gets
    arrays. A saved model does not hold them.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: a task whose labels can be missing.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        target: unlabelled rows of the target domain: a path or the name of a data set, an array, or a `Source`; None if
            the rows that `fit` gets hold them, without labels.
        weight: of the domain loss, at least 0.
        **kwargs: passed to `keras.Model`.
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        target: Any = "",
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        if task.features != "vector" or not task.learns_from_labels:
            raise UsageError(
                f"domain adaptation needs a task with one label a row, such as classification. Received: {task.name}."
            )
        self.weight = weight
        self.step = self.add_weight(shape=(), initializer="zeros", trainable=False, name="step")
        self._held = _Held(target if not isinstance(target, str) or target else None)

    # What a leaf writes ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def domain_loss(self, features: Tensor, of_target: Tensor, progress: Tensor) -> Tensor:
        """How far the domains are apart, a scalar.

        Args:
            features: shape ``(batch, dim)``.
            of_target: 1 for a row of the target domain, 0 for one of the source, shape ``(batch,)``.
            progress: how much of the training is done, 0 to 1.
        """

    # What the base does ------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """One phase that trains everything."""
        return (Phase(name="all", weights=tuple(self.tunable), live=True),)

    def call(self, inputs: Tensor, training: bool = False) -> Any:
        """Outputs of the task; in training the features too, which the domain loss needs."""
        features = self.encode(self.prepare(inputs, training), training and self._state.live)
        outputs = self.task(features, training=training)
        return (outputs, features) if training else outputs

    def task_loss(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor) -> Tensor:
        """The task's loss on rows with a label and, in training, the domain loss on all."""
        if not isinstance(y_pred, tuple):
            return super().task_loss(x, y, y_pred, sample_weight)
        outputs, features = y_pred
        of_target = 1.0 - ops.cast(self.task.known(y), "float32")
        progress = ops.minimum(self.step / max(self._held.steps, 1), 1.0)
        apart = self.domain_loss(ops.cast(features, "float32"), of_target, progress)
        self.step.assign_add(1.0)
        return super().task_loss(x, y, outputs, sample_weight) + self.weight * apart

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """As `keras.Model.compute_metrics`, on the task's outputs."""
        return super().compute_metrics(x, y, y_pred[0] if isinstance(y_pred, tuple) else y_pred, sample_weight)

    def begin(self, phase: Phase, steps: int = 0, schedule: Any = None) -> keras.Model:
        """Remember how long the training will be."""
        if not steps:
            raise UsageError("the schedule of domain adaptation needs to know its length: pass steps_per_epoch to fit.")
        self._held.steps = steps
        self.step.assign(0.0)
        return super().begin(phase, steps, schedule)

    def training_arrays(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Mix rows of the target domain into arrays that `fit` got."""
        labels = np.asarray(y)
        known = self.task.has_label(labels)
        if self._held.target is None:
            if known.all():
                raise UsageError(
                    "there are no rows of the target domain. Pass target=ROWS to kptk.finetune, or rows without labels "
                    "(-1 for a class, NaN for a number) to fit."
                )
            return x, y
        mixed = Mixed(ArraySource(np.asarray(x)[known], inputs="rows", name="x"), self.target_rows(x.shape[1:]))
        return mixed.read(np.arange(len(mixed))), self._mixed_labels(mixed, labels[known])

    def training_part(self, part: Any) -> Any:
        """Mix rows of the target domain into a run's training rows."""
        if part.labels is None:
            raise InputError("domain adaptation needs labels in the source domain. Give labelled data: --data PATH")
        mixed = Mixed(part.source, self.target_rows(part.source.row_shape))
        return replace(part, source=mixed, labels=self._mixed_labels(mixed, part.labels))

    def _mixed_labels(self, mixed: Mixed, labels: Any) -> Any:
        made = mixed.mixed_labels(labels)
        if self.task.has_label(made[1:2]).any():
            raise UsageError(
                f"task {self.task.name} cannot leave a label out, as it must for rows of the target domain. Use "
                "classification, multi_label or several (one column of numbers will do)."
            )
        return made

    def target_rows(self, row_shape: tuple[int, ...]) -> Source:
        """The rows of the target domain.

        Args:
            row_shape: shape of a row of the source domain.

        Raises:
            UsageError: if none were given.
            InputError: if they have another shape, or are not numbers.
        """
        target = self._held.target
        if target is None:
            raise UsageError(
                "no rows of the target domain were given. Say: -o strategy.target=PATH, data without labels"
            )
        # Rows that are prepared on the way to the model have another shape where they come from.
        before = self.preprocessor if self.preprocessor is not None and self.preprocessor.fits else None
        if isinstance(target, str):
            shape = tuple(row_shape)
            size = {"image_size": shape[0], "channels": shape[-1]} if len(shape) == 3 else {}
            wanted = (shape, size) if before is None else (None, size, before.kind)
            target = open_like(Plugins(), target, *wanted)
        if not isinstance(target, Source):
            return ArraySource(np.asarray(self.numbers(target)), inputs="rows", name="target")
        return target if before is None or isinstance(target, Prepared) else before.prepared(target)

    def get_config(self) -> dict[str, Any]:
        """Return every argument but the target's rows."""
        return {**super().get_config(), "target": None, "weight": self.weight}
