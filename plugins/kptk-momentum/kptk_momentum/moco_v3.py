"""MoCo v3 (Chen, Xie and He, 2021)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.clock import Clock
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.teacher import Teacher
from kptk.training.tensors import unit_length
from kptk.types import Tensor


def batch_contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """``2t`` times the cross entropy of finding each query's own key among the keys of the batch.

    For queries `q_i`, keys `k_j` of unit length and temperature `t`:

        2t * mean_i -log( exp(q_i.k_i / t) / sum_j exp(q_i.k_j / t) )

    The factor keeps the size of the gradient when the temperature changes.

    Args:
        queries: shape ``(N, dim)``, of any length.
        keys: shape ``(N, dim)``, of any length.
        temperature: `t`, above 0.

    Returns:
        A scalar. Where queries say nothing, it is near ``2t ln N``.

    References:
        https://arxiv.org/abs/2104.02057, algorithm 1.
    """
    logits = ops.matmul(unit_length(queries), ops.transpose(unit_length(keys))) / temperature  # (N, N)
    own = ops.sum(unit_length(queries) * unit_length(keys), axis=-1) / temperature  # (N,), the diagonal
    return 2.0 * temperature * ops.mean(ops.logsumexp(logits, axis=-1) - own)


@keras.saving.register_keras_serializable(package="kptk_momentum")
class MoCoV3(Pretrainer):
    """Queries of each view find the keys of the other view, made by a teacher, among those of the batch.

    There is no queue, so the batch should be large. The student has one more network than its teacher, which predicts
    the teacher's vectors; the teacher's momentum rises to 1 along a cosine.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        temperature: softmax temperature, above 0.
        momentum: share of the teacher's weights that stays in the first step, 0 to 1; it rises to 1 over the run.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the hidden layers of projector and predictor.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("moco_v3", backbone=backbone, temperature=0.5)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        An Empirical Study of Training Self-Supervised Vision Transformers, https://arxiv.org/abs/2104.02057
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.2,
        momentum: float = 0.99,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.temperature = temperature
        self.momentum = momentum
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        widths = (hidden_dim, projection_dim)
        self.projector = mlp(widths, self.feature_dim, batch_norm=True, name="projector")
        self.predictor = mlp(widths, projection_dim, batch_norm=True, name="predictor")
        self.teacher = Teacher(backbone, self.projector)
        self.clock = Clock()

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Move the teacher, make keys of both views with it and queries with the student."""
        if training:
            self.teacher.follow(self.clock.cosine(self.momentum, 1.0))
        projections = self.projector(self.encode_views(views, training), training=training)
        queries = self.predictor(projections, training=training)
        keys = self.teacher(ops.concatenate(views, axis=0), training=training)
        return {"embeddings": ops.cast(queries, "float32"), "keys": ops.cast(keys, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `batch_contrast` both ways; the sum, as in the paper."""
        del labels
        q1, q2 = ops.split(outputs["embeddings"], 2, axis=0)
        k1, k2 = ops.split(outputs["keys"], 2, axis=0)
        return batch_contrast(q1, k2, self.temperature) + batch_contrast(q2, k1, self.temperature)

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Count the step, for the momentum."""
        del outputs
        self.clock.advance()

    def chance_loss(self, batch_size: int) -> float:
        """``4t ln N``: in each of the two directions, every key of the batch is as likely as the query's own."""
        return 4 * self.temperature * math.log(batch_size)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "momentum": self.momentum,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
        }
