"""`Taught`: what all objectives of this plugin share, which is everything about the teacher."""

from __future__ import annotations

import abc
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.clock import Clock
from kptk.training.features import pooled
from kptk.training.labels import check_classes, check_labels, require_labels
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.teacher import Teacher
from kptk.types import Tensor
from kptk_distill.teachers import GivenTeacher, as_logits, cut_at, open_teacher


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of class numbers, the mean over the batch.

    Args:
        logits: shape ``(batch, classes)``.
        labels: class numbers, shape ``(batch,)``.
    """
    picked = ops.take_along_axis(ops.log_softmax(logits, axis=-1), labels[:, None], axis=-1)
    return -ops.mean(picked)


class Taught(Pretrainer, abc.ABC):
    """Abstract: a student learns from what a teacher says of the same inputs.

    There are three kinds of teacher:

    - one that was *given* (a file, a run, a model, a backbone by name): frozen, in inference mode, not copied, and saved
      with the pretrainer, so that a loaded one goes on training without the teacher's file;
    - one that was given and *learns* from labels beside the student, through a head of its own;
    - the student's *own moving average*, if none was given. It then sees another view than the student, if there are
      two. A given teacher always sees what the student sees.

    Args:
        backbone: the student.
        views: a preprocessor, or None.
        num_classes: number of classes of the labels, 0 if there are none.
        teacher: a path, the name of a backbone, a `keras.Model`, or empty.
        teacher_learns: whether a given teacher is trained on the labels.
        teacher_resize: whether inputs are scaled to the size that the teacher takes.
        teacher_layer: the layer of a given teacher that is asked; empty for its output.
        momentum: share of the average that stays at each step, at the beginning; it rises to 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the teacher cannot teach this student.
    """

    wants_logits = False

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        num_classes: int = 0,
        teacher: Any = "",
        teacher_learns: bool = False,
        teacher_resize: bool = False,
        teacher_layer: str = "",
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.num_classes = num_classes
        self.teacher_learns = teacher_learns
        self.teacher_resize = teacher_resize
        self.momentum = momentum
        self.self_taught = isinstance(teacher, str) and not teacher
        if teacher_learns and self.self_taught:
            raise UsageError(
                "a teacher that learns beside the student must be named: -o objective.teacher=BACKBONE, larger than the "
                "student. See: kptk list backbones"
            )
        if teacher_layer and self.self_taught:
            raise UsageError(
                "`teacher_layer` names a layer of a given teacher, and none was given: -o objective.teacher="
            )
        if not self.self_taught:
            shape = tuple(backbone.input_shape[1:])
            # A teacher that learns gets a head for its classes, so it is asked for features.
            model = open_teacher(teacher, logits=self.wants_logits and not teacher_learns, input_shape=shape)
            model = cut_at(model, teacher_layer, "teacher")
            self.teacher = GivenTeacher(model, student_shape=shape, learns=teacher_learns, resize=teacher_resize)
        if teacher_learns:
            check_classes(num_classes)
            self.teacher_head = mlp((num_classes,), self.teacher.answer_dim, batch_norm=False, name="teacher_head")
            self.teacher_accuracy = keras.metrics.SparseCategoricalAccuracy(name="teacher_accuracy")

    def follow(self, *heads: keras.Model) -> None:
        """Make the student's own average the teacher; a leaf calls this at the end of its ``__init__``.

        Args:
            *heads: what stands behind the backbone.
        """
        self.clock = Clock()
        self.teacher = Teacher(self.backbone, *heads)

    def ask(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """What the teacher says of each view (of the other view, if it is the student's own average).

        Args:
            views: the views.
            training: whether batch statistics and dropout are on.

        Returns:
            ``"teacher"``, without a gradient, view after view; and ``"teacher_logits"`` if the teacher learns.
        """
        if self.self_taught:
            if training:
                self.teacher.follow(self.clock.cosine(self.momentum, 1.0))
            answer = self.teacher(ops.concatenate(views[::-1], axis=0), training=training)
            return {"teacher": ops.cast(answer, "float32")}
        answer = self.teacher(ops.concatenate(views, axis=0), training=training)
        if not self.teacher_learns:
            if self.wants_logits:
                answer = as_logits(pooled(answer), self.teacher.gives_probabilities)
            return {"teacher": ops.stop_gradient(answer)}
        logits = ops.cast(self.teacher_head(pooled(answer), training=training), "float32")
        return {"teacher": ops.stop_gradient(logits if self.wants_logits else answer), "teacher_logits": logits}

    def teachers_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor | float:
        """Cross entropy of a teacher that learns, 0 for any other.

        Args:
            outputs: what `ask` returned among others.
            labels: class numbers, or None.
        """
        if not self.teacher_learns:
            return 0.0
        require_labels(labels, f"{self.name} with teacher_learns")
        return cross_entropy(outputs["teacher_logits"], for_each_view(labels, outputs["teacher_logits"]))

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Count the step."""
        del outputs
        if self.self_taught:
            self.clock.advance()

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often a teacher that learns is right."""
        if self.teacher_learns:
            self.teacher_accuracy.update_state(for_each_view(y, y_pred["teacher_logits"]), y_pred["teacher_logits"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, after a look at the labels if they are an array."""
        if y is not None and self.num_classes:
            check_labels(y, self.num_classes)
        return super().fit(x, y, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return every argument; a given teacher is part of the model."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "teacher": "" if self.self_taught else keras.saving.serialize_keras_object(self.teacher.model),
            "teacher_learns": self.teacher_learns,
            "teacher_resize": self.teacher_resize,
            "momentum": self.momentum,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Pretrainer:
        """Rebuild the model, with its teacher."""
        config = dict(config)
        if isinstance(config["teacher"], dict):
            config["teacher"] = keras.saving.deserialize_keras_object(config["teacher"], custom_objects=custom_objects)
        return super().from_config(config, custom_objects)


def for_each_view(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels as often as there are views.

    Args:
        labels: class numbers of the batch.
        logits: shape ``(views * batch, classes)``.

    Returns:
        Integers, shape ``(views * batch,)``.
    """
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
    return ops.take(labels, ops.arange(ops.shape(logits)[0]) % ops.shape(labels)[0])
