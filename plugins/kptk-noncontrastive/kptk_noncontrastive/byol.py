"""BYOL (Grill, Strub, Altché and others, 2020)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.clock import Clock
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.teacher import Teacher
from kptk.types import Tensor
from kptk_noncontrastive.cosine import negative_cosine
from kptk_noncontrastive.heads import head


def byol_loss(p0: Tensor, p1: Tensor, z0: Tensor, z1: Tensor) -> Tensor:
    """Squared distance of unit-length predictions and targets, both ways: ``(2 - 2 cos(p0, z1)) + (2 - 2 cos(p1, z0))``.

    Args:
        p0: the student's predictions from the first views, shape ``(N, dim)``.
        p1: those from the second views.
        z0: the teacher's projections of the first views, which get no gradient.
        z1: those of the second views.

    Returns:
        A scalar from 0 to 8; 4 where predictions say nothing.

    References:
        https://arxiv.org/abs/2006.07733, equations 2 and 3.
    """
    return (2.0 + 2.0 * negative_cosine(p0, z1)) + (2.0 + 2.0 * negative_cosine(p1, z0))


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class BYOL(Pretrainer):
    """The student predicts what its teacher, a moving average of itself, makes of the other view.

    Nothing is repelled. What keeps all vectors from becoming the same is the predictor, which only the student has, and
    that the teacher follows slowly.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        momentum: share of the teacher's weights that stays in the first step, 0 to 1; it rises to 1 over the run.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the hidden layers of projector and predictor.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("byol", backbone=backbone, momentum=0.99)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Bootstrap Your Own Latent, https://arxiv.org/abs/2006.07733
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        momentum: float = 0.99,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.momentum = momentum
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        widths = (hidden_dim, projection_dim)
        self.projector = head(widths, self.feature_dim, last="bias", name="projector")
        self.predictor = head(widths, projection_dim, last="bias", name="predictor")
        self.teacher = Teacher(backbone, self.projector)
        self.clock = Clock()

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Move the teacher, project both views with it and predict its projections with the student."""
        if training:
            self.teacher.follow(self.clock.cosine(self.momentum, 1.0))
        projections = self.projector(self.encode_views(views, training), training=training)
        predictions = self.predictor(projections, training=training)
        targets = self.teacher(ops.concatenate(views, axis=0), training=training)
        return {"embeddings": ops.cast(predictions, "float32"), "targets": ops.cast(targets, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `byol_loss`."""
        del labels
        p0, p1 = ops.split(outputs["embeddings"], 2, axis=0)
        z0, z1 = ops.split(outputs["targets"], 2, axis=0)
        return byol_loss(p0, p1, z0, z1)

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Count the step, for the momentum."""
        del outputs
        self.clock.advance()

    def chance_loss(self, batch_size: int) -> float:
        """4: predictions are at right angles to their targets."""
        del batch_size
        return 4.0

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
        }
