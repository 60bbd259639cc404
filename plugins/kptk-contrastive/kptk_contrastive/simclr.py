"""SimCLR (Chen, Kornblith, Norouzi and Hinton, 2020)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.losses import nt_xent as nt_xent
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor


@keras.saving.register_keras_serializable(package="kptk_contrastive")
class SimCLR(Pretrainer):
    """Two views of an example attract each other and repel every other example of the batch.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        temperature: softmax temperature, above 0. Smaller values weigh the nearest other examples more.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("contrastive", backbone=backbone, temperature=0.2)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        A Simple Framework for Contrastive Learning of Visual Representations, https://arxiv.org/abs/2002.05709
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.5,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.batch_norm = batch_norm
        # Kept for pre-training only: downstream uses the backbone's output.
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views."""
        projections = self.projector(self.encode_views(views, training), training=training)
        return {"embeddings": ops.cast(projections, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `nt_xent`."""
        del labels
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        return nt_xent(z0, z1, self.temperature)

    def chance_loss(self, batch_size: int) -> float:
        """``ln(2N - 1)``: every other projection is as likely as the partner."""
        return math.log(2 * batch_size - 1)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
            "batch_norm": self.batch_norm,
        }
