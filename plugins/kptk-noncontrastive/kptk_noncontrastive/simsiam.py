"""SimSiam (Chen and He, 2021)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_noncontrastive.cosine import negative_cosine
from kptk_noncontrastive.heads import head


def simsiam_loss(p0: Tensor, p1: Tensor, z0: Tensor, z1: Tensor) -> Tensor:
    """``D(p0, stop(z1)) / 2 + D(p1, stop(z0)) / 2`` with the negative cosine `D`.

    Args:
        p0: predictions from the first views, shape ``(N, dim)``.
        p1: those from the second views.
        z0: projections of the first views, which get no gradient here.
        z1: those of the second views.

    Returns:
        A scalar from -1 to 1; 0 where predictions say nothing.

    References:
        https://arxiv.org/abs/2011.10566, equation 4 and algorithm 1.
    """
    return 0.5 * negative_cosine(p0, z1) + 0.5 * negative_cosine(p1, z0)


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class SimSiam(Pretrainer):
    """Each view predicts the other's projection, which is held fixed while it does.

    There is neither a teacher nor anything that repels. The gradient that is stopped at the projections, and the
    predictor, keep all vectors from becoming the same.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's two hidden layers.
        predictor_dim: width of the predictor's hidden layer; narrower than the projections, as a bottleneck.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("simsiam", backbone=backbone, predictor_dim=32)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Exploring Simple Siamese Representation Learning, https://arxiv.org/abs/2011.10566
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        projection_dim: int = 256,
        hidden_dim: int = 256,
        predictor_dim: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.predictor_dim = predictor_dim
        widths = (hidden_dim, hidden_dim, projection_dim)
        self.projector = head(widths, self.feature_dim, last="batch_norm", name="projector")
        self.predictor = head((predictor_dim, projection_dim), projection_dim, last="bias", name="predictor")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views and predict."""
        projections = self.projector(self.encode_views(views, training), training=training)
        predictions = self.predictor(projections, training=training)
        return {"embeddings": ops.cast(projections, "float32"), "predictions": ops.cast(predictions, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `simsiam_loss`."""
        del labels
        p0, p1 = ops.split(outputs["predictions"], 2, axis=0)
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        return simsiam_loss(p0, p1, z0, z1)

    def chance_loss(self, batch_size: int) -> float:
        """0: predictions are at right angles to their targets."""
        del batch_size
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
            "predictor_dim": self.predictor_dim,
        }
