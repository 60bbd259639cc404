"""The parts that text Transformers are put together from, all of Keras' own layers."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.tokens import EMBED, ENCODER, POOL, TABLE

INITIAL, OF_WIDTH = 0.02, 768
"""Standard deviation of BERT's new weights, and the width for which it was chosen."""


def initial(width: int = OF_WIDTH) -> Any:
    """BERT's initialiser: a normal distribution cut at two standard deviations, wider for a narrower network.

    A product of two vectors of 64 such numbers is far smaller than one of 768, so attention would begin flatter than in BERT.

    Args:
        width: inputs of the kernel.
    """
    return keras.initializers.TruncatedNormal(stddev=INITIAL * math.sqrt(OF_WIDTH / width))


def attention(x: Any, mask: Any, *, heads: int, causal: bool, dropout: float, name: str) -> Any:
    """Add self-attention over the tokens of a row.

    Args:
        x: vectors, shape ``(batch, length, width)``.
        mask: True at tokens, shape ``(batch, length)``.
        heads: attention heads.
        causal: whether a token sees only itself and those before it.
        dropout: fraction of the attention weights dropped.
        name: prefix of the layers' names.
    """
    width = int(x.shape[-1])
    layer = keras.layers.MultiHeadAttention(
        heads, width // heads, dropout=dropout, kernel_initializer=initial(width), name=f"{name}_attention"
    )
    return layer(x, x, attention_mask=ops.expand_dims(mask, 1), use_causal_mask=causal)


def perceptron(x: Any, *, hidden: int, name: str) -> Any:
    """Add two dense layers with the exact GELU between them.

    Args:
        x: vectors.
        hidden: width between the two.
        name: prefix of the layers' names.
    """
    width = int(x.shape[-1])
    x = keras.layers.Dense(hidden, activation="gelu", kernel_initializer=initial(width), name=f"{name}_mlp1")(x)
    return keras.layers.Dense(width, kernel_initializer=initial(width), name=f"{name}_mlp2")(x)


def dropped(x: Any, dropout: float, name: str) -> Any:
    """Add dropout, if there is any.

    Args:
        x: vectors.
        dropout: fraction dropped.
        name: of the layer.
    """
    return keras.layers.Dropout(dropout, name=name)(x) if dropout else x


def embed_model(
    input_shape: tuple[int, ...],
    *,
    vocabulary: int,
    width: int,
    positions: int,
    segments: int,
    epsilon: float,
    dropout: float,
    norm: bool,
) -> keras.Model:
    """From token numbers to vectors: token, position and segment added, normalised.

    Args:
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        vocabulary: how many tokens.
        width: length of a vector.
        positions: how many positions have a vector.
        segments: how many kinds of segments; 0 for none.
        epsilon: of the normalisation.
        dropout: fraction dropped at the end.
        norm: whether the sum is normalised.
    """
    inputs = keras.Input(input_shape, dtype="int32", name="tokens")
    two = len(input_shape) == 2
    ids = ops.take(inputs, 0, axis=1) if two else inputs
    ones = ops.ones_like(ids)
    x = keras.layers.Embedding(vocabulary, width, embeddings_initializer=initial(), name=TABLE)(ids)
    # Not from a constant: Keras would look it up once and for all while the model is built.
    places = ops.cumsum(ones, axis=1) - ones
    found = [
        keras.layers.Embedding(positions, width, embeddings_initializer=initial(), name="position_embedding")(places)
    ]
    if segments:
        kinds = ops.take(inputs, 1, axis=1) if two else ops.zeros_like(ids)
        table = keras.layers.Embedding(segments, width, embeddings_initializer=initial(), name="segment_embedding")
        found.append(table(kinds))
    x = keras.layers.Add(name="sum")([x, *found])
    if norm:
        x = keras.layers.LayerNormalization(epsilon=epsilon, name="embed_norm")(x)
    return keras.Model(inputs, dropped(x, dropout, "embed_dropout"), name=EMBED)


def whole(input_shape: tuple[int, ...], embed: keras.Model, encoder: keras.Model, pool: Any, name: str) -> keras.Model:
    """Put the stages together to a backbone with one input.

    Args:
        input_shape: ``(length,)``, or ``(2, length)``.
        embed: from token numbers to vectors.
        encoder: from vectors and mask to vectors.
        pool: from vectors and mask to features, or None.
        name: of the backbone.
    """
    inputs = keras.Input(input_shape, dtype="int32", name="inputs")
    ids = ops.take(inputs, 0, axis=1) if len(input_shape) == 2 else inputs
    mask = ops.not_equal(ids, 0)
    x = encoder([embed(inputs), mask])
    return keras.Model(inputs, x if pool is None else pool([x, mask]), name=name)


def pool_model(width: int, length: int, kind: str) -> keras.Model | None:
    """From the vectors of a row to one.

    Args:
        width: length of a vector.
        length: tokens of a row.
        kind: ``"mean"`` of the tokens; ``"cls"``, the first one behind a dense layer with tanh, as BERT's; ``"last"`` token;
            ``"none"`` for no pooling.

    Returns:
        The model, or None for ``"none"``.
    """
    if kind == "none":
        return None
    vectors = keras.Input((length, width), name="vectors")
    mask = keras.Input((length,), dtype="bool", name="mask")
    if kind == "cls":
        first = ops.take(vectors, 0, axis=1)
        x = keras.layers.Dense(width, activation="tanh", kernel_initializer=initial(width), name="pooler")(first)
    else:
        weights = ops.cast(mask, "float32")
        if kind == "last":  # the token behind which nothing comes
            after = ops.concatenate([weights[:, 1:], ops.zeros_like(weights[:, :1])], axis=1)
            weights = weights * (1.0 - after)
        weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        x = ops.sum(vectors * ops.cast(ops.expand_dims(weights, -1), vectors.dtype), axis=1)
    return keras.Model([vectors, mask], x, name=POOL)


__all__ = ["ENCODER", "attention", "dropped", "embed_model", "initial", "perceptron", "pool_model", "whole"]
