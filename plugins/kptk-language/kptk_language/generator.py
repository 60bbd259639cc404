"""A small Transformer in front of the discriminator, which shares its token vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

EPSILON = 1e-12


def generator_encoder(width: int, length: int, *, inner: int, heads: int, depth: int) -> keras.Model:
    """From the vectors of the discriminator's table to such vectors again, through a narrower Transformer.

    Args:
        width: length of the discriminator's vectors.
        length: tokens of a row.
        inner: length of the vectors inside, a multiple of `heads`.
        heads: attention heads.
        depth: layers.

    Returns:
        A model from vectors ``(batch, length, width)`` and a mask ``(batch, length)`` to vectors.
    """
    kernel = keras.initializers.TruncatedNormal(stddev=0.02)
    vectors = keras.Input((length, width), name="vectors")
    mask = keras.Input((length,), dtype="bool", name="mask")

    def dense(units: int, name: str, activation: Any = None) -> Any:
        return keras.layers.Dense(units, activation=activation, kernel_initializer=kernel, name=name)

    x = dense(inner, "narrow")(vectors)
    for index in range(depth):
        name = f"generator{index}"
        attention = keras.layers.MultiHeadAttention(
            heads, inner // heads, kernel_initializer=kernel, name=f"{name}_attention"
        )
        y = attention(x, x, attention_mask=ops.expand_dims(mask, 1))
        x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(keras.layers.Add()([x, y]))
        y = dense(inner, f"{name}_mlp2")(dense(4 * inner, f"{name}_mlp1", "gelu")(x))
        x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(keras.layers.Add()([x, y]))
    return keras.Model([vectors, mask], dense(width, "wide")(x), name="generator")
