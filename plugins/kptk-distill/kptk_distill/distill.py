"""Distillation of class probabilities (Hinton, Vinyals and Dean, 2015)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import mlp, with_head
from kptk.types import Tensor
from kptk_distill.taught import Taught, cross_entropy, for_each_view
from kptk_distill.teachers import looks_like_features


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of the softened probabilities, scaled so that its gradient does not shrink with the temperature.

        T^2 KL( softmax(teacher / T) || softmax(student / T) )

    It is computed from logarithms: `keras.distillation.LogitsDistillation` clips probabilities at 1e-7, where a student
    that is confidently wrong gets no gradient.

    Args:
        student: logits, shape ``(batch, classes)``.
        teacher: logits, shape ``(batch, classes)``.
        temperature: `T`, above 0.

    Returns:
        A scalar, the mean over the batch.

    References:
        https://arxiv.org/abs/1503.02531, section 2
    """
    wanted = ops.log_softmax(teacher / temperature, axis=-1)
    given = ops.log_softmax(student / temperature, axis=-1)
    return temperature**2 * ops.mean(ops.sum(ops.exp(wanted) * (wanted - given), axis=-1))


@keras.saving.register_keras_serializable(package="kptk_distill")
class Distill(Taught):
    """The student imitates the teacher's softened class probabilities, and learns the labels where there are some.

    With labels ``a CE + (1 - a) T^2 KL``, without them ``T^2 KL``.

    Args:
        backbone: the student.
        views: a preprocessor, or None.
        num_classes: number of classes of the labels; 0 without labels, then the teacher says it.
        teacher: a ``.keras`` file, a run folder, a `keras.Model` that gives class logits or probabilities, the name of a
            backbone (with `teacher_learns`), or empty for the student's own moving average.
        teacher_learns: whether the teacher learns the labels beside the student, through a head of its own.
        teacher_resize: whether inputs are scaled to the size that the teacher takes.
        temperature: `T`, above 0. High values show how the teacher weighs wrong classes.
        hard_weight: `a`, weight of the labels, 0 to 1.
        momentum: of the student's own average, at the beginning; it rises to 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the teacher has no class logits, or takes other inputs than the student.
        InputError: if the teacher's file is missing.

    Example:
        >>> import keras, kptk, numpy as np
        >>> images, labels = np.zeros((64, 28, 28, 1), "uint8"), np.arange(64) % 10
        >>> teacher = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> student = kptk.backbone("example_cnn", input_shape=(28, 28, 1), filters=4, units=16)
        >>> model = kptk.objective("distill", backbone=student, teacher=teacher, num_classes=10)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(images, labels, batch_size=32, verbose=0)

    References:
        Distilling the Knowledge in a Neural Network, https://arxiv.org/abs/1503.02531
    """

    wants_logits = True

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        num_classes: int = 0,
        teacher: Any = "",
        teacher_learns: bool = False,
        teacher_resize: bool = False,
        temperature: float = 4.0,
        hard_weight: float = 0.1,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            backbone,
            views,
            num_classes=num_classes,
            teacher=teacher,
            teacher_learns=teacher_learns,
            teacher_resize=teacher_resize,
            momentum=momentum,
            **kwargs,
        )
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.head = mlp((self._classes(),), self.feature_dim, batch_norm=False, name="head")
        if self.self_taught:
            self.follow(self.head)
        self.agreement = keras.metrics.Mean(name="agreement")
        if num_classes:
            self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def _classes(self) -> int:
        """How many classes the head tells apart; refuses a teacher that does not tell them apart."""
        if self.self_taught or self.teacher_learns:
            if not self.num_classes:
                raise UsageError(
                    "distill without a trained teacher learns from labels, and there are none. Give a teacher that was "
                    "trained (-o objective.teacher=FILE), or distil features: --objective feature_distill"
                )
            return self.num_classes
        found = self.teacher.answer_dim
        no_logits = looks_like_features(self.teacher.model) and not self.teacher.gives_probabilities
        if found != self.num_classes if self.num_classes else no_logits or found < 2:
            wanted = f"{self.num_classes} classes" if self.num_classes else "its classes"
            raise UsageError(
                f"the teacher '{self.teacher.model.name}' must give one logit or probability for each of {wanted}; it "
                f"gives {found} numbers. Use a classifier, such as a run of kptk train --plugin supervised; let the "
                "teacher learn a head beside the student (-o objective.teacher_learns=true); or distil its features "
                "(--objective feature_distill)."
            )
        return found

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Classify every view, by student and teacher."""
        features = self.encode_views(views, training)
        logits = ops.cast(self.head(features, training=training), "float32")
        return {"embeddings": ops.cast(features, "float32"), "logits": logits, **self.ask(views, training)}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `soft_target_loss` and, with labels, cross entropy."""
        soft = soft_target_loss(outputs["logits"], outputs["teacher"], self.temperature)
        if labels is None:
            return soft + self.teachers_loss(outputs, labels)
        hard = cross_entropy(outputs["logits"], for_each_view(labels, outputs["logits"]))
        own = self.hard_weight * hard + (1 - self.hard_weight) * soft
        return own + self.teachers_loss(outputs, labels)

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often student and teacher choose the same class, and how often the student is right."""
        said, wanted = (ops.argmax(y_pred[name], axis=-1) for name in ("logits", "teacher"))
        self.agreement.update_state(ops.cast(said == wanted, "float32"))
        if y is not None and self.num_classes:
            self.accuracy.update_state(for_each_view(y, y_pred["logits"]), y_pred["logits"])
        result = super().compute_metrics(x, y, y_pred, sample_weight)
        if y is None:
            result.pop("accuracy", None)
        return result

    def classifier(self) -> keras.Model:
        """The student and its head as one model, sharing their weights."""
        return with_head(self.backbone, self.head)

    def chance_loss(self, batch_size: int) -> float | None:
        """Known where the teacher begins as ignorant as the student; a trained teacher's divergence has no such number."""
        del batch_size
        if not (self.self_taught or self.teacher_learns):
            return None
        return (self.hard_weight + self.teacher_learns) * math.log(self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "temperature": self.temperature, "hard_weight": self.hard_weight}
