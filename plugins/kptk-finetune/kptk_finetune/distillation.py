"""Distillation to a student: a small backbone learns what a large fine-tuned model says, with or without labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import ops

from kptk.errors import InputError, UsageError
from kptk.runfolder import RunFolder
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.saving import load_model
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.types import Tensor


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of the softened probabilities, ``T^2 KL(softmax(teacher / T) || softmax(student / T))``, the mean over the rows.

    Args:
        student: logits, shape ``(batch, classes)``.
        teacher: logits, shape ``(batch, classes)``.
        temperature: `T`, above 0.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/1503.02531, section 2
    """
    wanted = ops.log_softmax(teacher / temperature, axis=-1)
    given = ops.log_softmax(student / temperature, axis=-1)
    return temperature**2 * ops.mean(ops.sum(ops.exp(wanted) * (wanted - given), axis=-1))


@dataclass(slots=True)
class _Teacher:
    """The teacher and its classes in the student's order; an object of its own, so that Keras does not save it within."""

    model: Strategy
    order: list[int]


@keras.saving.register_keras_serializable(package="kptk_finetune")
class Distillation(Strategy):
    """All weights of a student learn from a teacher's softened probabilities, and from the labels there are.

        a * cross-entropy of the rows with a label  +  (1 - a) * T^2 KL of all rows

    The teacher sees the rows as they are, the student as `augment` says. A row without a label (-1) still teaches, so much
    unlabelled data of the task can be added. The saved student does not hold the teacher.

    Args:
        backbone: the student: any `keras.Model` from inputs to features.
        task: a classification, of the teacher's classes.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        teacher: the folder of a fine-tuning, its ``.keras`` file, or a model that `kptk.finetune` made.
        temperature: `T`, above 0.
        hard_weight: `a`, weight of the labels, 0 to 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        InputError: if there is no such teacher.
        UsageError: if it has other classes, or takes other rows.

    References:
        Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        teacher: Any = "",
        temperature: float = 4.0,
        hard_weight: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.temperature = temperature
        self.hard_weight = hard_weight
        self._held: _Teacher | None = None
        # A saved student comes without its teacher, and serves; only `fit` needs one.
        if teacher is not None:
            model = _opened(teacher)
            self._held = _Teacher(model, _order(model, task))

    def phases(self) -> tuple[Phase, ...]:
        """One phase that trains everything."""
        return (Phase(name="all", weights=tuple(self.tunable), live=True),)

    def task_loss(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor) -> Tensor:
        """Labels where there are some, and what the teacher says of every row."""
        if self._held is None:
            raise UsageError(
                "this student was saved without its teacher, so it cannot learn on by distillation. Start again from it: "
                "kptk.finetune('distillation', model.backbone, teacher=...)"
            )
        answer = ops.stop_gradient(self._held.model(x, training=False))
        answer = ops.take(ops.cast(answer, "float32"), self._held.order, axis=-1)
        soft = distillation_loss(y_pred, answer, self.temperature)
        return self.hard_weight * self.task.loss(y, y_pred, sample_weight) + (1 - self.hard_weight) * soft

    def get_config(self) -> dict[str, Any]:
        """Return every argument but the teacher."""
        own = {"teacher": None, "temperature": self.temperature, "hard_weight": self.hard_weight}
        return {**super().get_config(), **own}


def _opened(teacher: Any) -> Strategy:
    """The teacher, whatever it was given as."""
    if isinstance(teacher, str | Path):
        if not str(teacher):
            raise UsageError(
                "strategy distillation needs a teacher: -o strategy.teacher=FOLDER, a fine-tuned model of the same classes. "
                "Make one: kptk finetune RUN --task classification"
            )
        path = Path(teacher).expanduser()
        teacher = load_model(RunFolder.open(path).model if path.is_dir() else path, compile=False)
    if not isinstance(teacher, Strategy):
        raise InputError(
            f"`teacher` must be a fine-tuned model of kptk: its folder, its .keras file or what kptk.finetune made. "
            f"Received: {type(teacher).__name__}."
        )
    return teacher


def _order(teacher: Strategy, task: Task) -> list[int]:
    """Where each class of the student stands among the teacher's.

    Args:
        teacher: the teacher.
        task: the student's task.

    Raises:
        UsageError: if the two cannot work on the same rows and classes.
    """
    if not task.class_names or not teacher.task.class_names or task.metric != "accuracy":
        raise UsageError(
            f"strategy distillation teaches one class a row. Received: task {task.name}, and a teacher of {teacher.task.name}."
        )
    missing = sorted(set(task.class_names) ^ set(teacher.task.class_names))
    if missing:
        raise UsageError(
            f"the teacher must know the very classes of the data. Only one of the two knows: {', '.join(missing[:8])}. "
            "Fine-tune a teacher on this data first."
        )
    if tuple(task.row_shape) != tuple(teacher.task.row_shape):
        raise UsageError(
            f"the teacher takes rows of {teacher.task.row_shape}, the data has {task.row_shape}. Use a teacher for this data."
        )
    return [teacher.task.class_names.index(name) for name in task.class_names]
