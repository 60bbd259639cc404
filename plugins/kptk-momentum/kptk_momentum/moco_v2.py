"""MoCo v2 (He, Fan, Wu, Xie and Girshick, 2020; Chen, Fan, Girshick and He, 2020)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.teacher import Teacher
from kptk.training.tensors import unit_length
from kptk.types import Tensor


def queue_contrast(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Cross entropy of finding each query's own key among itself and all keys of the queue.

    For a query `q` with its key `k+`, queued keys `k_j` and temperature `t`, all of unit length:

        l(q) = -log( exp(q.k+ / t) / (exp(q.k+ / t) + sum_j exp(q.k_j / t)) )

    Args:
        queries: of unit length, shape ``(N, dim)``.
        keys: the key of each query, of unit length, shape ``(N, dim)``.
        queue: keys of other examples, of unit length, shape ``(K, dim)``.
        temperature: `t`, above 0.

    Returns:
        The mean over the queries. Where they say nothing, it is near ``ln(1 + K)``.

    References:
        https://arxiv.org/abs/1911.05722, equation 1 and algorithm 1.
    """
    positive = ops.sum(queries * keys, axis=-1, keepdims=True)  # (N, 1)
    negative = ops.matmul(queries, ops.transpose(queue))  # (N, K)
    logits = ops.concatenate([positive, negative], axis=-1) / temperature
    return ops.mean(ops.logsumexp(logits, axis=-1) - logits[:, 0])


def enqueue(queue: Tensor, keys: Tensor) -> Tensor:
    """Put the keys of a step into a queue of fixed length; the oldest fall out.

    The newest stand first, so that any number of keys fits: a batch that does not divide the queue, the shorter last
    batch of an epoch, or one longer than the queue.

    Args:
        queue: shape ``(K, dim)``.
        keys: shape ``(N, dim)``.

    Returns:
        The new queue, shape ``(K, dim)``.
    """
    return ops.reshape(ops.concatenate([keys, queue], axis=0)[: queue.shape[0]], queue.shape)


@keras.saving.register_keras_serializable(package="kptk_momentum")
class MoCoV2(Pretrainer):
    """A query must find its key, made by a slowly moving teacher, among the keys of the last batches.

    Each training step: the teacher moves, it makes the keys of the second views, the queries of the first views are
    compared with their keys and with the queue as the steps before left it, and then the keys enter the queue.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two views of each example.
        temperature: softmax temperature, above 0.
        momentum: share of the teacher's weights that stays in each step, 0 to 1.
        queue_size: keys that are kept: at most a quarter of the data, because a queue longer than the data holds every
            example's own older keys and calls them negatives; and at most ``batch / (4 (1 - momentum))``, because keys
            that are older than the teacher's memory are told apart by their age, and the features collapse.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("momentum", backbone=backbone, queue_size=256)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Momentum Contrast for Unsupervised Visual Representation Learning, https://arxiv.org/abs/1911.05722;
        Improved Baselines with Momentum Contrastive Learning, https://arxiv.org/abs/2003.04297
    """

    # The queue starts with random vectors, which are easy to tell apart, and fills with real keys, which are not.
    loss_measures_learning: bool = False

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.2,
        momentum: float = 0.99,
        queue_size: int = 2048,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.temperature = temperature
        self.momentum = momentum
        self.queue_size = queue_size
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.batch_norm = batch_norm
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")
        self.teacher = Teacher(backbone, self.projector)
        self.queue = self.add_weight(
            shape=(queue_size, projection_dim),
            initializer="random_normal",
            trainable=False,
            dtype="float32",
            autocast=False,
            name="queue",
        )
        self.queue.assign(unit_length(self.queue.value))

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Move the teacher, make keys with it and queries with the student."""
        first, second = views
        if training:
            self.teacher.follow(self.momentum)
        queries = self.projector(self.encode(first, training), training=training)
        keys = self.teacher(second, training=training)
        queries, keys = (unit_length(ops.cast(vectors, "float32")) for vectors in (queries, keys))
        return {"embeddings": queries, "keys": keys}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `queue_contrast` with the queue of the steps before."""
        del labels
        # A copy, because PyTorch writes new keys into the same memory before it computes gradients.
        return queue_contrast(outputs["embeddings"], outputs["keys"], ops.copy(self.queue.value), self.temperature)

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Enqueue the keys."""
        self.queue.assign(enqueue(self.queue.value, outputs["keys"]))

    def chance_loss(self, batch_size: int) -> float:
        """``ln(1 + K)``: every key of the queue is as likely as the query's own."""
        del batch_size
        return math.log(1 + self.queue_size)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "momentum": self.momentum,
            "queue_size": self.queue_size,
            "projection_dim": self.projection_dim,
            "hidden_dim": self.hidden_dim,
            "batch_norm": self.batch_norm,
        }
