"""Relational distillation (Park, Kim, Lu and Cho, 2019)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.features import pooled
from kptk.training.preprocessor import Preprocessor
from kptk.training.tensors import unit_length
from kptk.types import Tensor
from kptk_distill.taught import Taught


def huber(wanted: Tensor, given: Tensor) -> Tensor:
    """``1/2 (x - y)^2`` where they differ by at most 1, ``|x - y| - 1/2`` beyond.

    Args:
        wanted: any shape.
        given: the same shape.
    """
    difference = ops.abs(wanted - given)
    small = ops.minimum(difference, 1.0)
    return 0.5 * ops.square(small) + (difference - small)


def relative_distances(features: Tensor) -> Tensor:
    """Distance of every two examples, divided by the mean over all pairs of different ones.

    Args:
        features: shape ``(n, dim)``.

    Returns:
        Shape ``(n, n)``, 0 on the diagonal.
    """
    count = ops.shape(features)[0]
    others = 1.0 - ops.eye(count, dtype=features.dtype)
    # By inner products, which need no tensor of (n, n, dim); around the mean, where they lose the fewest digits.
    centred = features - ops.mean(features, axis=0, keepdims=True)
    lengths = ops.sum(ops.square(centred), axis=-1)
    squared = lengths[:, None] + lengths[None] - 2.0 * ops.matmul(centred, ops.transpose(centred))
    squared = ops.maximum(squared, 0.0)
    # The constant keeps the gradient finite where two examples have the same features.
    distances = ops.sqrt(squared + 1e-12) * others
    mean = ops.sum(distances) / ops.maximum(ops.sum(others), 1.0)
    return distances / ops.maximum(mean, 1e-6)


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the relative distances, the mean over all pairs of different examples.

    Args:
        student: features, shape ``(n, dim)``.
        teacher: features, shape ``(n, other dim)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/1904.05068, equations 5 to 8
    """
    count = ops.cast(ops.shape(student)[0], "float32")
    total = ops.sum(huber(relative_distances(teacher), relative_distances(student)))
    return total / ops.maximum(count * (count - 1.0), 1.0)


def angles(features: Tensor) -> Tensor:
    """Cosine of the angle that every three examples `i`, `j`, `k` make at `j`.

    Args:
        features: shape ``(n, dim)``.

    Returns:
        Shape ``(n, n, n)`` by `j`, `i` and `k`; 0 where two of the three are the same.
    """
    towards = unit_length(features[None] - features[:, None])  # [j, i] = from j to i
    cosines = ops.matmul(towards, ops.transpose(towards, (0, 2, 1)))  # [j, i, k]
    return cosines * (1.0 - ops.eye(ops.shape(features)[0], dtype=features.dtype))[None]  # i = k is no angle


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the angles, the mean over all triples of different examples.

    Args:
        student: features, shape ``(n, dim)``.
        teacher: features, shape ``(n, other dim)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/1904.05068, equations 9 and 10
    """
    count = ops.cast(ops.shape(student)[0], "float32")
    total = ops.sum(huber(angles(teacher), angles(student)))
    return total / ops.maximum(count * (count - 1.0) * (count - 2.0), 1.0)


@keras.saving.register_keras_serializable(package="kptk_distill")
class RelationalDistill(Taught):
    """The student's features of a batch lie to one another as the teacher's do; their length and place are free.

    No regressor is needed, whatever the two dimensions are.

    Args:
        backbone: the student.
        views: a preprocessor, or None.
        num_classes: number of classes of the labels, needed only by a teacher that learns.
        teacher: a ``.keras`` file, a run folder (its backbone), a `keras.Model`, the name of a backbone, or empty for
            the student's own moving average, which then sees the other view.
        teacher_learns: whether the teacher learns the labels beside the student, through a head of its own.
        teacher_resize: whether inputs are scaled to the size that the teacher takes.
        teacher_layer: the layer of a given teacher that is imitated, empty for its output.
        distance_weight: weight of the distances of pairs, at least 0.
        angle_weight: weight of the angles of triples, at least 0.
        angle_examples: how many examples of a batch make triples: their number grows with the cube.
        momentum: of the student's own average, at the beginning; it rises to 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the teacher takes other inputs than the student.
        InputError: if the teacher's file is missing.

    Example:
        >>> import keras, kptk, numpy as np
        >>> teacher = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> student = kptk.backbone("example_cnn", input_shape=(28, 28, 1), filters=4, units=16)
        >>> model = kptk.objective("relational_distill", backbone=student, teacher=teacher)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1)).astype("uint8")
        >>> history = model.fit(images, batch_size=32, verbose=0)

    References:
        Relational Knowledge Distillation, https://arxiv.org/abs/1904.05068
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
        teacher_layer: str = "",
        distance_weight: float = 1.0,
        angle_weight: float = 2.0,
        angle_examples: int = 64,
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
        self.teacher_layer = teacher_layer
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight
        self.angle_examples = angle_examples
        if self.self_taught:
            self.follow()
            self.loss_measures_learning = False

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Features of every view, by student and teacher."""
        features = ops.cast(self.encode_views(views, training), "float32")
        outputs = self.ask(views, training)
        return {**outputs, "embeddings": features, "teacher": pooled(outputs["teacher"])}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `distance_loss` and `angle_loss`."""
        student, teacher = outputs["embeddings"], outputs["teacher"]
        loss = self.distance_weight * distance_loss(student, teacher)
        if self.angle_weight:
            few = slice(0, self.angle_examples)
            loss = loss + self.angle_weight * angle_loss(student[few], teacher[few])
        return loss + self.teachers_loss(outputs, labels)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("teacher_layer", "distance_weight", "angle_weight", "angle_examples")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
