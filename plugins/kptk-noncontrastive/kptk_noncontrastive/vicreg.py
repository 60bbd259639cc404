"""VICReg (Bardes, Ponce and LeCun, 2022)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_noncontrastive.heads import head

EPSILON = 1e-4
"""Added to variances before the square root."""


def invariance(z0: Tensor, z1: Tensor) -> Tensor:
    """Mean squared difference of the two views' projections.

    Args:
        z0: projections of the first views, shape ``(N, dim)``.
        z1: projections of the second views, shape ``(N, dim)``.
    """
    return ops.mean(ops.square(z0 - z1))


def variance(z: Tensor) -> Tensor:
    """How much the standard deviation of each number falls short of 1, on average.

    Args:
        z: projections of one view, shape ``(N, dim)`` with N at least 2.
    """
    return ops.mean(ops.relu(1.0 - ops.sqrt(ops.diagonal(_covariance(z)) + EPSILON)))


def covariance(z: Tensor) -> Tensor:
    """Sum of squared covariances of different numbers, divided by their count.

    Args:
        z: projections of one view, shape ``(N, dim)`` with N at least 2.
    """
    dim = z.shape[-1]
    others = _covariance(z) * (1.0 - ops.eye(dim, dtype=z.dtype))
    return ops.sum(ops.square(others)) / dim


def vicreg_loss(
    z0: Tensor, z1: Tensor, *, invariance_weight: float, variance_weight: float, covariance_weight: float
) -> Tensor:
    """Weighted sum of three terms: views agree, no number is constant, no two numbers say the same.

    The variance term is averaged over the two views and the covariance term summed, as in the authors' code.

    Args:
        z0: projections of the first views, shape ``(N, dim)`` with N at least 2.
        z1: projections of the second views, shape ``(N, dim)``.
        invariance_weight: lambda, at least 0.
        variance_weight: mu, at least 0.
        covariance_weight: nu, at least 0.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2105.04906, equations 1 to 6.
    """
    return (
        invariance_weight * invariance(z0, z1)
        + variance_weight * 0.5 * (variance(z0) + variance(z1))
        + covariance_weight * (covariance(z0) + covariance(z1))
    )


def _covariance(z: Tensor) -> Tensor:
    centred = z - ops.mean(z, axis=0)
    return ops.matmul(ops.transpose(centred), centred) / (ops.cast(ops.shape(z)[0], z.dtype) - 1.0)


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class VICReg(Pretrainer):
    """Projections of two views agree, while each number keeps its variance and says something of its own.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        invariance_weight: weight of the views' agreement, at least 0.
        variance_weight: weight of the variance of each number, at least 0. Without it everything becomes the same.
        covariance_weight: weight of the covariances, at least 0.
        projection_dim: length of the projections, at least 2. Longer than usual pays with this loss.
        hidden_dim: width of the projector's two hidden layers.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("vicreg", backbone=backbone, projection_dim=128)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        VICReg: Variance-Invariance-Covariance Regularization, https://arxiv.org/abs/2105.04906
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        projection_dim: int = 512,
        hidden_dim: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        widths = (hidden_dim, hidden_dim, projection_dim)
        self.projector = head(widths, self.feature_dim, last="nothing", name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views."""
        projections = self.projector(self.encode_views(views, training), training=training)
        return {"embeddings": ops.cast(projections, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `vicreg_loss`."""
        del labels
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        return vicreg_loss(
            z0,
            z1,
            invariance_weight=self.invariance_weight,
            variance_weight=self.variance_weight,
            covariance_weight=self.covariance_weight,
        )

    def chance_loss(self, batch_size: int) -> float:
        """The least that projections can reach that say nothing of the example.

        Independent noise of standard deviation `s` gives ``2 lambda s^2 + mu (1 - s)`` in a large batch, with its least
        value at ``s = mu / 4 lambda``.
        """
        del batch_size
        strength = 2 * self.invariance_weight
        spread = min(self.variance_weight / (2 * strength), 1.0) if strength else 1.0
        return strength * spread**2 + self.variance_weight * (1 - spread)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "invariance_weight": self.invariance_weight,
            "variance_weight": self.variance_weight,
            "covariance_weight": self.covariance_weight,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
        }
