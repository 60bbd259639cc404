"""Contrast of several views at once, in three published forms."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError, bad_value
from kptk.training.losses import nt_xent
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.tensors import unit_length
from kptk.types import Tensor
from kptk_simultaneous.supcon import supcon


def all_positives(z: Tensor, temperature: float) -> Tensor:
    """Every other view of the example is a positive, and each competes with all others (SupCon without labels).

    For a view `i` with the `V - 1` other views `P(i)` of its example:

        L_i = -1 / (V - 1) * sum_{p in P(i)} log( exp(s_ip / t) / sum_{a != i} exp(s_ia / t) )

    Args:
        z: projections, shape ``(V, N, dim)``.
        temperature: `t`, above 0.

    Returns:
        The mean over all views, a scalar, near ``ln(VN - 1)`` where the projections say nothing.

    References:
        https://arxiv.org/abs/2004.11362, equation 2 with an example's number as its label.
    """
    views, count = z.shape[0], ops.shape(z)[1]
    example = ops.tile(ops.arange(count), (views,))
    return supcon(ops.reshape(z, (-1, z.shape[2])), example, temperature)


def pairs(z: Tensor, temperature: float) -> Tensor:
    """Each pair of views of an example is a softmax of its own, against other examples only.

    For each pair of views `i`, `p` of an example, with `N(i)` the views of all other examples:

        l(i, p) = -log( exp(s_ip / t) / (exp(s_ip / t) + sum_{n in N(i)} exp(s_in / t)) )

    Args:
        z: projections, shape ``(V, N, dim)``.
        temperature: `t`, above 0.

    Returns:
        The mean over all ordered pairs, a scalar, near ``ln(VN - V + 1)`` where the projections say nothing.

    References:
        https://arxiv.org/abs/2002.05709, equation 1, with the other positives left out of the denominator.
    """
    views, count, dim = z.shape[0], ops.shape(z)[1], z.shape[2]
    z = unit_length(ops.reshape(z, (-1, dim)))
    similarity = ops.matmul(z, ops.transpose(z)) / temperature  # (VN, VN)
    example = ops.tile(ops.arange(count), (views,))
    own = ops.cast(ops.equal(example[:, None], example[None, :]), similarity.dtype)
    negatives = ops.logsumexp(similarity - 1e9 * own, axis=-1, keepdims=True)  # over N(i)
    losses = ops.logaddexp(similarity, negatives) - similarity  # (VN, VN), of which P(i) counts
    positive = own - ops.eye(ops.shape(z)[0], dtype=similarity.dtype)
    return ops.sum(positive * losses) / ops.sum(positive)


def full_graph(z: Tensor, temperature: float) -> Tensor:
    """The mean of two-view NT-Xent over all pairs of views (the full graph of contrastive multiview coding).

    Args:
        z: projections, shape ``(V, N, dim)``.
        temperature: softmax temperature, above 0.

    Returns:
        A scalar, near ``ln(2N - 1)`` where the projections say nothing.

    References:
        https://arxiv.org/abs/1906.05849, the full graph, with the loss of https://arxiv.org/abs/2002.05709.
    """
    views = z.shape[0]
    losses = [nt_xent(z[i], z[j], temperature) for i in range(views) for j in range(i + 1, views)]
    return sum(losses[1:], losses[0]) / len(losses)


FORMS = {"all-positives": all_positives, "pairs": pairs, "full-graph": full_graph}


@keras.saving.register_keras_serializable(package="kptk_simultaneous")
class Simultaneous(Pretrainer):
    """V views of an example attract each other at once and repel every other example of the batch.

    The number of views is the preprocessor's; ``kptk.objective("simultaneous", views=...)`` and ``-o objective.views=``
    set it. Views of different sizes (multi-crop) are encoded size by size.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two or more views of each example.
        form: how several positives share the softmax: ``"all-positives"`` (`all_positives`), ``"pairs"`` (`pairs`) or
            ``"full-graph"`` (`full_graph`). With two views they are the same.
        temperature: softmax temperature, above 0.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("simultaneous", backbone=backbone, form="pairs")
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((32, 28, 28, 1), "uint8"), batch_size=16, verbose=0)

    References:
        https://arxiv.org/abs/2004.11362, https://arxiv.org/abs/1906.05849, https://arxiv.org/abs/2002.05709
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        form: str = "all-positives",
        temperature: float = 0.5,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        if form not in FORMS:
            raise bad_value("form", "one of " + ", ".join(map(repr, FORMS)), form)
        self.form = form
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.batch_norm = batch_norm
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project every view."""
        if len(views) < 2:
            raise UsageError(
                f"objective 'simultaneous' contrasts at least two views of each example. Received: {len(views)}. "
                "Pass a preprocessor that makes more: kptk.preprocessor(NAME, views=4)."
            )
        projections = ops.cast(self.projector(self.encode_views(views, training), training=training), "float32")
        # "views" keeps their number, a static axis, apart from that of the examples.
        by_view = ops.reshape(projections, (len(views), -1, self.projection_dim))
        return {"embeddings": projections, "views": by_view}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply the form."""
        del labels
        return FORMS[self.form](outputs["views"], self.temperature)

    def chance_loss(self, batch_size: int) -> float:
        """The logarithm of the number of candidates, each as likely as the positive."""
        views = self.views.views if self.views is not None else 1
        candidates = {
            "all-positives": views * batch_size - 1,
            "pairs": views * batch_size - views + 1,
            "full-graph": 2 * batch_size - 1,
        }
        return math.log(candidates[self.form])

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "form": self.form,
            "temperature": self.temperature,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
            "batch_norm": self.batch_norm,
        }
