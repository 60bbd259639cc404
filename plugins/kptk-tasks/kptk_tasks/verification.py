"""Verification: embeddings that say whether two rows are of one kind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.task import Task
from kptk.training.tensors import unit_length
from kptk.types import Tensor

Array = NDArray[Any]

PAIRS = 20000
"""Pairs that a score looks at most."""


def arc_face(labels: Tensor, cosines: Tensor, margin: float, scale: float) -> Tensor:
    """Cross-entropy of ``scale cos(theta + margin)`` for the own class and ``scale cos(theta)`` for the others.

    Beyond ``theta = pi - margin`` the cosine would rise again; there the linear penalty ``cos(theta) - margin sin(margin)``
    takes its place, as in the authors' code.

    Args:
        labels: class numbers, shape ``(batch,)``.
        cosines: shape ``(batch, classes)``.
        margin: in radians, 0 <= margin < pi / 2.
        scale: above 0.

    Returns:
        Shape ``(batch,)``.

    References:
        Deng et al. 2019, equation 3, https://arxiv.org/abs/1801.07698
    """
    classes = cosines.shape[-1]
    own = ops.one_hot(labels, classes)
    cosine = ops.clip(cosines, -1.0, 1.0)
    sine = ops.sqrt(ops.maximum(1.0 - ops.square(cosine), 1e-12))
    moved = cosine * np.cos(margin) - sine * np.sin(margin)
    moved = ops.where(cosine > -np.cos(margin), moved, cosine - margin * np.sin(margin))
    logits = scale * (own * moved + (1 - own) * cosine)
    return -ops.sum(own * ops.log_softmax(logits, axis=-1), axis=-1)


def batch_hard_triplet(labels: Tensor, embeddings: Tensor, margin: float) -> Tensor:
    """For each row, its farthest partner of the same class against its nearest of another.

    Args:
        labels: class numbers, shape ``(batch,)``.
        embeddings: of length 1, shape ``(batch, dim)``.
        margin: wanted difference of the distances.

    Returns:
        Shape ``(batch,)``; 0 for a row without a partner or without a stranger.

    References:
        Hermans et al. 2017, https://arxiv.org/abs/1703.07737
    """
    squared = ops.maximum(2.0 - 2.0 * ops.matmul(embeddings, ops.transpose(embeddings)), 0.0)
    distance = ops.sqrt(squared + 1e-12)
    same = ops.cast(ops.equal(labels[:, None], labels[None, :]), "float32")
    other = 1.0 - same
    partner = same - ops.eye(ops.shape(labels)[0])
    farthest = ops.max(distance * partner, axis=1)
    nearest = ops.min(distance + 10.0 * same, axis=1)
    usable = ops.logical_and(ops.sum(partner, axis=1) > 0, ops.sum(other, axis=1) > 0)
    return ops.where(usable, ops.relu(farthest - nearest + margin), ops.zeros_like(farthest))


def pair_figures(similarity: Array, same: Array) -> dict[str, float]:
    """Area under the ROC, equal error rate, and true accepts at one false accept in 100 and in 1000.

    Args:
        similarity: of each pair.
        same: whether it is of one class.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    false, true, _ = roc_curve(same, similarity)
    crossing = int(np.argmin(np.abs(false - (1 - true))))
    figures = {
        "auroc": float(roc_auc_score(same, similarity)),
        "eer": float((false[crossing] + 1 - true[crossing]) / 2),
    }
    for name, rate in (("tar_at_far_1e-2", 1e-2), ("tar_at_far_1e-3", 1e-3)):
        figures[name] = float(true[false <= rate].max())
    return figures


@keras.saving.register_keras_serializable(package="kptk_tasks")
class Verification(Task):
    """An embedding head of length 1, trained with ArcFace or triplets; predictions are embeddings.

    Two rows are of one class if the cosine of their embeddings is high. Classes at evaluation may be new ones, as with
    faces of people who were not in the training data.

    Args:
        class_names: the name of each class that is learned from.
        row_shape: shape of one raw input.
        dim: length of the embedding, at least 2.
        loss: ``"arcface"`` or ``"triplet"``.
        margin: in radians for ArcFace, of the distance for triplets, at least 0.
        scale: of ArcFace's logits, above 0; the paper takes 64, which suits thousands of classes.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        Deng et al. 2019, https://arxiv.org/abs/1801.07698; Schroff et al. 2015, https://arxiv.org/abs/1503.03832
    """

    metric = "auroc"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        dim: int = 64,
        loss: str = "arcface",
        margin: float = 0.3,
        scale: float = 16.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(class_names=class_names, row_shape=row_shape, **kwargs)
        if len(self.class_names) < 2:
            raise InputError(f"verification needs at least two classes. Received: {len(self.class_names)}.")
        self.dim = dim
        self.loss_name = loss
        self.margin = margin
        self.scale = scale
        self.embedding = keras.layers.Dense(dim, use_bias=False, dtype="float32", name="embedding")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the embedding and, for ArcFace, a centre for each class."""
        self.embedding.build(input_shape)
        if self.loss_name == "arcface":
            self.centres = self.add_weight(shape=(self.dim, len(self.class_names)), name="centres")
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Embeddings of length 1, shape ``(batch, dim)``."""
        del training
        return unit_length(self.embedding(ops.cast(features, "float32")))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """ArcFace or triplet loss of each row."""
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        if self.loss_name == "triplet":
            return batch_hard_triplet(labels, outputs, self.margin)
        centres = ops.transpose(unit_length(ops.transpose(self.centres)))
        return arc_face(labels, ops.matmul(outputs, centres), self.margin, self.scale)

    def activate(self, outputs: Tensor) -> Tensor:
        """The embeddings."""
        return outputs

    def targets(self, source: Source) -> Array:
        """Class numbers; classes that were not learned from get numbers of their own."""
        if source.labels is None:
            return self.class_numbers(source)  # which says what is missing
        number = {name: index for index, name in enumerate(self.class_names)}
        for name in source.class_names:
            number.setdefault(name, len(number))
        return np.array([number[name] for name in source.class_names])[source.labels]

    def strata(self, labels: Array) -> Array:
        """The class numbers."""
        return labels

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Figures over all pairs of rows, or over 20,000 random ones."""
        first, second = np.triu_indices(len(labels), k=1)
        if len(first) > PAIRS:
            chosen = np.random.default_rng(0).choice(len(first), PAIRS, replace=False)
            first, second = first[chosen], second[chosen]
        same = labels[first] == labels[second]
        if same.all() or not same.any():
            return {"auroc": 0.5, "eer": 0.5, "tar_at_far_1e-2": 0.0, "tar_at_far_1e-3": 0.0}
        return pair_figures((predictions[first] * predictions[second]).sum(axis=1), same)

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The embedding."""
        return {"embedding": predictions}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        own = {"dim": self.dim, "loss": self.loss_name, "margin": self.margin, "scale": self.scale}
        return {**super().get_config(), **own}
