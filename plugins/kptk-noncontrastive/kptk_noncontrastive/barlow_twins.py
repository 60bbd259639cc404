"""Barlow Twins (Zbontar, Jing, Misra, LeCun and Deny, 2021)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_noncontrastive.heads import head

EPSILON = 1e-5
"""Added to variances, as batch normalisation does."""


def barlow_twins_loss(z0: Tensor, z1: Tensor, redundancy_weight: float) -> Tensor:
    """How far the correlation matrix of two views' projections is from the identity.

    With columns of mean 0 and variance 1 over the batch, and ``C = z0' z1 / N``:

        sum_i (1 - C_ii)^2 + redundancy_weight * sum_{i != j} C_ij^2

    Args:
        z0: projections of the first views, shape ``(N, dim)``.
        z1: projections of the second views, shape ``(N, dim)``.
        redundancy_weight: lambda, at least 0.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2103.03230, equations 1 and 2 and algorithm 1.
    """
    z0, z1 = _standardised(z0), _standardised(z1)
    rows = ops.cast(ops.shape(z0)[0], z0.dtype)
    correlation = ops.matmul(ops.transpose(z0), z1) / rows  # (dim, dim)
    itself = ops.eye(correlation.shape[-1], dtype=correlation.dtype)
    diagonal = ops.sum(correlation * itself, axis=-1)
    invariance = ops.sum(ops.square(1.0 - diagonal))
    redundancy = ops.sum(ops.square(correlation * (1.0 - itself)))
    return invariance + redundancy_weight * redundancy


def _standardised(z: Tensor) -> Tensor:
    centred = z - ops.mean(z, axis=0)
    return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=0) + EPSILON)


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class BarlowTwins(Pretrainer):
    """Each number of the projection is the same in both views, and unlike every other number.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        redundancy_weight: weight of the second term, at least 0.
        projection_dim: length of the projections, at least 2. Longer than usual pays with this loss.
        hidden_dim: width of the projector's two hidden layers.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("barlow_twins", backbone=backbone, projection_dim=128)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Barlow Twins: Self-Supervised Learning via Redundancy Reduction, https://arxiv.org/abs/2103.03230
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        redundancy_weight: float = 0.005,
        projection_dim: int = 512,
        hidden_dim: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.redundancy_weight = redundancy_weight
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        widths = (hidden_dim, hidden_dim, projection_dim)
        self.projector = head(widths, self.feature_dim, last="nothing", name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views."""
        projections = self.projector(self.encode_views(views, training), training=training)
        return {"embeddings": ops.cast(projections, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `barlow_twins_loss`."""
        del labels
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        return barlow_twins_loss(z0, z1, self.redundancy_weight)

    def chance_loss(self, batch_size: int) -> float:
        """What projections give that are pure noise: every correlation has the mean square ``1 / (N - 1)``."""
        dim, noise = self.projection_dim, 1 / (batch_size - 1)
        return dim * (1 + noise) + self.redundancy_weight * dim * (dim - 1) * noise

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "redundancy_weight": self.redundancy_weight,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
        }
