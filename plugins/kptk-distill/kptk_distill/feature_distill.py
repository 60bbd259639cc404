"""Distillation of features: hints (Romero et al., 2014), and cosine matching for self-distillation without labels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.distillation import FeatureDistillation

from kptk.errors import UsageError
from kptk.training.features import pooled
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import mlp
from kptk.training.tensors import unit_length
from kptk.types import Tensor
from kptk_distill.taught import Taught
from kptk_distill.teachers import cut_at


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Half the squared distance of the features, ``1/2 ||r(h_s) - h_t||^2``, the mean over the examples.

    `keras.distillation.FeatureDistillation` gives the mean over the numbers of a vector too; the paper has their sum.

    Args:
        student: features behind the regressor `r`, shape ``(rows, dim)``.
        teacher: shape ``(rows, dim)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/1412.6550, equation 3
    """
    return 0.5 * teacher.shape[-1] * FeatureDistillation(loss="mse").compute_loss(teacher, student)


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of the features, the mean over the examples: 0 where they point the same way, 2 at most.

    Args:
        student: features behind the regressor, shape ``(rows, dim)``.
        teacher: shape ``(rows, dim)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2006.07733, equation 2, halved
    """
    # `keras.distillation.FeatureDistillation` says the same, but its gradient of a zero vector is NaN on PyTorch.
    return 1.0 - ops.mean(ops.sum(unit_length(student) * unit_length(teacher), axis=-1))


def standardised(features: Tensor) -> Tensor:
    """Bring every number of the features to mean 0 and variance 1 over the batch.

    A student that teaches itself would otherwise agree with its teacher most easily by features that are all alike: behind a
    ReLU, vectors that have nothing to do with each other already have a cosine near 1.

    Args:
        features: shape ``(rows, dim)``, at least 2 rows.

    Returns:
        The same shape, float32; 0 where a number does not vary.

    References:
        https://arxiv.org/abs/2202.03555, section 3.3, which normalises targets for this reason
    """
    mean, variance = ops.moments(ops.cast(features, "float32"), axes=0, keepdims=True)
    return (features - mean) / ops.sqrt(variance + 1e-5)


@keras.saving.register_keras_serializable(package="kptk_distill")
class FeatureDistill(Taught):
    """A regressor behind the student predicts the teacher's features. No labels are needed.

    Features of the student's own average are `standardised` over the batch first, those of a given teacher taken as they are.

    Args:
        backbone: the student.
        views: a preprocessor, or None.
        num_classes: number of classes of the labels, needed only by a teacher that learns.
        teacher: a ``.keras`` file, a run folder (its backbone), a `keras.Model`, the name of a backbone, or empty for
            the student's own moving average, which then sees the other view.
        teacher_learns: whether the teacher learns the labels beside the student, through a head of its own.
        teacher_resize: whether inputs are scaled to the size that the teacher takes.
        form: ``"cosine"`` compares directions, ``"hint"`` squared distances.
        hidden_dim: width of a hidden layer of the regressor, with batch normalisation; 0 for a linear one.
        student_layer: the student's layer that learns, empty for its output; layers above it are not trained.
        teacher_layer: the layer of a given teacher that is imitated, empty for its output.
        momentum: of the student's own average, at the beginning; it rises to 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the teacher takes other inputs than the student, or a layer does not exist.
        InputError: if the teacher's file is missing.

    Example:
        >>> import keras, kptk, numpy as np
        >>> teacher = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> student = kptk.backbone("example_cnn", input_shape=(28, 28, 1), filters=4, units=16)
        >>> model = kptk.objective("feature_distill", backbone=student, teacher=teacher, form="hint")
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        FitNets: Hints for Thin Deep Nets, https://arxiv.org/abs/1412.6550
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        num_classes: int = 0,
        teacher: Any = "",
        teacher_learns: bool = False,
        teacher_resize: bool = False,
        form: str = "cosine",
        hidden_dim: int = 256,
        student_layer: str = "",
        teacher_layer: str = "",
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
            teacher_layer=teacher_layer,
            momentum=momentum,
            **kwargs,
        )
        self.form = form
        self.hidden_dim = hidden_dim
        self.student_layer = student_layer
        self.teacher_layer = teacher_layer
        if student_layer and self.self_taught:
            raise UsageError("`student_layer` needs a given teacher, and none was given: -o objective.teacher=")
        guided = cut_at(backbone, student_layer, "student")
        self._guided = guided.__call__  # out of Keras' sight, which would see the student twice
        taught = backbone if self.self_taught else self.teacher.model
        # Maps or sequences of one size are compared place by place, any others by their averages.
        self.by_place = not self.self_taught and tuple(guided.output_shape[1:-1]) == tuple(taught.output_shape[1:-1])
        widths = ((hidden_dim,) if hidden_dim else ()) + (int(taught.output_shape[-1]),)
        own = int(guided.output_shape[-1])
        self.regressor = mlp(widths, own, batch_norm=bool(hidden_dim), name="regressor")
        if self.self_taught:
            self.follow()
            self.loss_measures_learning = False

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Predict the teacher's features of every view."""
        features = self._guided(ops.concatenate(views, axis=0), training=training)
        outputs = self.ask(views, training)
        rows, wanted = (self._rows(item) for item in (features, outputs["teacher"]))
        wanted = standardised(wanted) if self.self_taught else wanted
        predicted = ops.cast(self.regressor(rows, training=training), "float32")
        return {**outputs, "embeddings": ops.cast(pooled(features), "float32"), "student": predicted, "teacher": wanted}

    def _rows(self, features: Tensor) -> Tensor:
        """One vector an example, or one a place."""
        return ops.reshape(features, (-1, features.shape[-1])) if self.by_place else pooled(features)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `cosine_loss` or `hint_loss`."""
        formula = hint_loss if self.form == "hint" else cosine_loss
        return formula(outputs["student"], outputs["teacher"]) + self.teachers_loss(outputs, labels)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("form", "hidden_dim", "student_layer", "teacher_layer")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
