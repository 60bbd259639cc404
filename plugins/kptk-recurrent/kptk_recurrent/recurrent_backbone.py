"""What LSTM and GRU backbones have in common: a table of tokens, recurrent layers, and a vector for the whole sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.tokens import EMBED, ENCODER, PADDING, POOL, TABLE

POOLS = ("last", "mean", "none")


def recurrent_backbone(
    cell: type[keras.layers.Layer],
    input_shape: tuple[int, ...],
    *,
    vocabulary: int,
    embedding_dim: int,
    units: int,
    layers: int,
    dropout: float,
    pool: str,
    name: str,
) -> keras.Model:
    """Build a network that reads a sequence from left to right, with the stages of `kptk.training.tokens`.

    Steps that are padding change nothing: the state goes on as it was.

    Args:
        cell: `keras.layers.LSTM` or `keras.layers.GRU`.
        input_shape: ``(length,)`` for tokens, or ``(length, channels)`` for sequences of numbers.
        vocabulary: how many tokens; not used for numbers.
        embedding_dim: length of the vectors of tokens.
        units: length of the state of each layer.
        layers: how many.
        dropout: fraction dropped before every layer.
        pool: ``"last"`` state, ``"mean"`` of all, or ``"none"`` for all of them.
        name: of the model.

    Raises:
        UsageError: if the shape is neither, or tokens have no vocabulary.
    """
    if len(input_shape) not in (1, 2):
        raise UsageError(
            f"{name} takes tokens (length,) or numbers (length, channels). Received: rows of {input_shape}."
        )
    numbers = len(input_shape) == 2
    if not numbers and vocabulary < 2:
        raise UsageError(
            f"`vocabulary` must be the number of tokens, at least 2. Received: {vocabulary}. kptk train sets it to what the "
            "preprocessor learned."
        )
    width = int(input_shape[1]) if numbers else embedding_dim
    encoder = _encoder(cell, width, units=units, layers=layers, dropout=dropout)
    inputs = keras.Input(tuple(input_shape), dtype="float32" if numbers else "int32", name="sequence")
    if numbers:
        vectors, mask = inputs, ops.ones_like(inputs[:, :, 0], dtype="bool")
    else:
        vectors, mask = _embed(int(input_shape[0]), vocabulary, width)(inputs), ops.not_equal(inputs, PADDING)
    states = encoder([vectors, mask])
    features = states if pool == "none" else _pool(units, pool)([states, mask])
    return keras.Model(inputs, features, name=name)


def _embed(length: int, vocabulary: int, width: int) -> keras.Model:
    ids = keras.Input((length,), dtype="int32", name="ids")
    return keras.Model(ids, keras.layers.Embedding(vocabulary, width, name=TABLE)(ids), name=EMBED)


def _encoder(cell: type[keras.layers.Layer], width: int, *, units: int, layers: int, dropout: float) -> keras.Model:
    vectors, mask = keras.Input((None, width), name="vectors"), keras.Input((None,), dtype="bool", name="mask")
    x: Any = vectors
    for index in range(layers):
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"drop{index}")(x)
        # Keras' LSTM starts with a forget bias of 1, so that states last from the beginning.
        x = cell(units, return_sequences=True, name=f"layer{index}")(x, mask=mask)
    return keras.Model([vectors, mask], x, name=ENCODER)


def _pool(units: int, pool: str) -> keras.Model:
    states, mask = keras.Input((None, units), name="states"), keras.Input((None,), dtype="bool", name="mask")
    there = ops.cast(mask, "int32")
    if pool == "last":
        weights = ops.cast(ops.logical_and(mask, ops.equal(ops.cumsum(there, axis=1), _steps(there))), "float32")
    else:
        weights = ops.cast(there, "float32") / ops.cast(ops.maximum(_steps(there), 1), "float32")
    features = ops.sum(states * ops.cast(ops.expand_dims(weights, -1), states.dtype), axis=1)
    return keras.Model([states, mask], features, name=POOL)


def _steps(there: Any) -> Any:
    return ops.sum(there, axis=1, keepdims=True)
