"""One block of a Transformer encoder, of Keras' own layers: for backbones, decoders and heads."""

from __future__ import annotations

from typing import Any

import keras

EPSILON = 1e-6


def encoder_block(x: Any, *, heads: int, mlp_ratio: int = 4, dropout: float = 0.0, name: str) -> Any:
    """Add a pre-norm block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))`` with exact GELU.

    Any length of sequence will do, so a model of such blocks also encodes a part of a sequence.

    Args:
        x: symbolic tensor, shape ``(batch, length, width)``.
        heads: attention heads; they must divide the width.
        mlp_ratio: hidden width of the perceptron, as a multiple of the width.
        dropout: fraction dropped behind the attention and the perceptron.
        name: prefix of the layers' names.

    Returns:
        A symbolic tensor of the same shape.

    Example:
        >>> inputs = keras.Input((None, 8))
        >>> keras.Model(inputs, encoder_block(inputs, heads=2, name="block0")).output_shape
        (None, None, 8)

    References:
        https://arxiv.org/abs/1706.03762, https://arxiv.org/abs/2002.04745 (pre-norm), https://arxiv.org/abs/1606.08415 (GELU)
    """
    width = int(x.shape[-1])
    # Glorot's standard deviation for (width -> width). Keras' own default would take the kernel of rank 3 for that of a
    # convolution and start far too small.
    kernel = keras.initializers.TruncatedNormal(stddev=width**-0.5)
    y = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
    attention = keras.layers.MultiHeadAttention(
        heads, width // heads, kernel_initializer=kernel, name=f"{name}_attention"
    )
    y = attention(y, y)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout1")(y)
    x = keras.layers.Add(name=f"{name}_add1")([x, y])
    y = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    y = keras.layers.Dense(mlp_ratio * width, activation="gelu", name=f"{name}_mlp1")(y)
    y = keras.layers.Dense(width, name=f"{name}_mlp2")(y)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout2")(y)
    return keras.layers.Add(name=f"{name}_add2")([x, y])


def encoder(width: int, *, depth: int, heads: int, mlp_ratio: int = 4, dropout: float = 0.0, name: str) -> keras.Model:
    """Build a stack of blocks with a normalisation at its end.

    Args:
        width: length of a token.
        depth: blocks; 0 leaves the normalisation alone.
        heads: attention heads; they must divide the width.
        mlp_ratio: hidden width of the perceptrons, as a multiple of the width.
        dropout: fraction dropped behind each attention and perceptron.
        name: name of the model.

    Returns:
        A functional `keras.Model` from tokens ``(batch, length, width)`` of any length to the same shape.

    Example:
        >>> encoder(8, depth=2, heads=2, name="encoder").count_params()
        1760
    """
    tokens = keras.Input((None, width), name="tokens")
    x = tokens
    for index in range(depth):
        x = encoder_block(x, heads=heads, mlp_ratio=mlp_ratio, dropout=dropout, name=f"block{index}")
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    return keras.Model(tokens, x, name=name)
