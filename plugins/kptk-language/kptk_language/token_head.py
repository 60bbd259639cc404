"""`TokenHead`: from vectors to a number for each token of the vocabulary, with the backbone's own table of tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.types import Tensor

EPSILON = 1e-12


@keras.saving.register_keras_serializable(package="kptk_language")
class TokenHead(keras.layers.Layer):
    """A dense layer with GELU and a normalisation, then the product with every token's vector, plus a bias for each token.

    The vectors are those of the backbone's `token_embedding`, which the loss so trains from both ends.

    Args:
        width: length of the vectors.
        vocabulary: how many tokens.
        transform: whether the dense layer and the normalisation are there.
        table_width: length of the table's vectors, if they are not as long as those that come in (as in ALBERT); 0 for as long.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/1810.04805; tied tables, https://arxiv.org/abs/1608.05859
    """

    def __init__(
        self, width: int, vocabulary: int, *, transform: bool = True, table_width: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.vocabulary, self.transform = width, vocabulary, transform
        self.table_width = table_width or width
        self.dense = self.norm = None
        if transform or self.table_width != width:
            kernel = keras.initializers.TruncatedNormal(stddev=width**-0.5)
            activation = "gelu" if transform else None
            self.dense = keras.layers.Dense(
                self.table_width, activation=activation, kernel_initializer=kernel, name="dense"
            )
            self.dense.build((None, None, width))
        if transform:
            self.norm = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")
            self.norm.build((None, None, self.table_width))
        self.bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="bias")
        self.built = True

    def call(self, vectors: Tensor, table: Tensor) -> Tensor:
        """Logits of the tokens.

        Args:
            vectors: shape ``(..., width)``.
            table: shape ``(vocabulary, table_width)``.

        Returns:
            Shape ``(..., vocabulary)``, in float32.
        """
        if self.dense is not None:
            vectors = self.dense(vectors)
        if self.norm is not None:
            vectors = self.norm(vectors)
        product = ops.matmul(vectors, ops.transpose(ops.cast(table, vectors.dtype)))
        return ops.cast(product, "float32") + ops.cast(self.bias, "float32")


def take_places(vectors: Tensor, places: Tensor) -> Tensor:
    """The vectors at some places of each row.

    Args:
        vectors: shape ``(batch, length, width)``.
        places: shape ``(batch, count)``.

    Returns:
        Shape ``(batch, count, width)``.
    """
    return ops.take_along_axis(vectors, ops.expand_dims(places, -1), axis=1)


def weighted_accuracy(metric: Any, logits: Tensor, targets: Tensor, weights: Tensor) -> None:
    """Count how often the likeliest token is the right one.

    Args:
        metric: a `keras.metrics.Mean`.
        logits: shape ``(..., vocabulary)``.
        targets: shape ``(...)``.
        weights: shape ``(...)``.
    """
    right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), targets.dtype), targets), "float32")
    metric.update_state(right, sample_weight=weights)
