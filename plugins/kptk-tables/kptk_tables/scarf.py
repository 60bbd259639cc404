"""SCARF (Bahri, Jiang, Tay and Metzler, 2022): contrastive learning of tables by random feature corruption."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.losses import nt_xent
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor


@keras.saving.register_keras_serializable(package="kptk_tables")
class Scarf(Pretrainer):
    """A row attracts a copy in which most columns are taken from other rows, and repels every other row of the batch.

    The corruption is the preprocessor's; the paper's anchor is the clean row (``-o preprocessor.anchor=clean``, which this
    objective suggests).

    Args:
        backbone: any `keras.Model` from rows to features.
        views: a preprocessor that makes two views of each row.
        temperature: softmax temperature, above 0.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> result = kptk.train("scarf", epochs=1)  # doctest: +SKIP

    References:
        SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, https://arxiv.org/abs/2106.15147
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 1.0,
        projection_dim: int = 256,
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=False, name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project the row and its corrupted copy, each batch on its own: the two have different statistics."""
        projections = [self.projector(self.encode(view, training=training), training=training) for view in views]
        return {"embeddings": ops.cast(ops.concatenate(projections, axis=0), "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `nt_xent`, the paper's InfoNCE over both views."""
        del labels
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        return nt_xent(z0, z1, self.temperature)

    def chance_loss(self, batch_size: int) -> float:
        """``ln(2N - 1)``: every other projection is as likely as the partner."""
        return math.log(2 * batch_size - 1)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("temperature", "projection_dim", "hidden_dim")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
