"""SupCon (Khosla et al., 2020): contrast with labels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import InputError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.tensors import unit_length
from kptk.types import Tensor


def supcon(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss with the mean over positives outside of the logarithm, "L_out".

    For an anchor `i` with positives `P(i)`, all others of its label, cosine similarities `s` and temperature `t`:

        L_i = -1 / |P(i)| * sum_{p in P(i)} log( exp(s_ip / t) / sum_{a != i} exp(s_ia / t) )

    Args:
        z: projections, shape ``(M, dim)``.
        labels: class numbers, shape ``(M,)``.
        temperature: `t`, above 0.

    Returns:
        The mean over all anchors, a scalar; those without a positive count 0. Where the projections say nothing, it is
        near ``ln(M - 1)``.

    References:
        https://arxiv.org/abs/2004.11362, equation 2. (The authors' code multiplies by t / 0.07; the paper does not.)
    """
    z = unit_length(z)
    similarity = ops.matmul(z, ops.transpose(z)) / temperature  # (M, M)
    itself = ops.eye(ops.shape(z)[0], dtype=similarity.dtype)
    denominator = ops.logsumexp(similarity - 1e9 * itself, axis=-1, keepdims=True)  # over a != i
    labels = ops.reshape(labels, (-1, 1))
    positive = ops.cast(ops.equal(labels, ops.transpose(labels)), similarity.dtype) - itself  # p in P(i)
    count = ops.maximum(ops.sum(positive, axis=-1), 1.0)  # |P(i)|
    return ops.mean(ops.sum(positive * (denominator - similarity), axis=-1) / count)


@keras.saving.register_keras_serializable(package="kptk_simultaneous")
class SupCon(Pretrainer):
    """Examples of one class attract each other, and repel all others of the batch.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two or more views of each example.
        temperature: softmax temperature, above 0.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("supcon", backbone=backbone)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> images, labels = np.zeros((64, 28, 28, 1), "uint8"), np.arange(64) % 10
        >>> history = model.fit(images, labels, batch_size=32, verbose=0)

    References:
        Supervised Contrastive Learning, https://arxiv.org/abs/2004.11362
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.1,
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
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project every view."""
        projections = ops.cast(self.projector(self.encode_views(views, training), training=training), "float32")
        # "views" keeps their number, a static axis, apart from that of the examples.
        by_view = ops.reshape(projections, (len(views), -1, self.projection_dim))
        return {"embeddings": projections, "views": by_view}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `supcon`: positives of a view are the other views of its example and all of the same label."""
        if labels is None:
            raise InputError(
                "SupCon learns from labels. Received: none. Pass them as y to fit, or use objective 'simultaneous'."
            )
        repeated = ops.tile(ops.reshape(labels, (-1,)), (outputs["views"].shape[0],))
        return supcon(outputs["embeddings"], repeated, self.temperature)

    def chance_loss(self, batch_size: int) -> float:
        """``ln(VN - 1)``: every other projection is as likely as a positive."""
        views = self.views.views if self.views is not None else 1
        return math.log(views * batch_size - 1)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
            "batch_norm": self.batch_norm,
        }
