"""A feature-tokenising Transformer for tables (Gorishniy, Rubachev, Khrulkov and Babenko, 2021)."""

from __future__ import annotations

from typing import Any

import keras

from kptk.errors import bad_value
from kptk.training.transformer import encoder
from kptk_tables.grouping import sizes, together


def ft_transformer(
    input_shape: tuple[int, ...],
    *,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
    groups: str = "",
) -> keras.Model:
    """Build a token for each column, a class token, and a Transformer encoder over them; the features are the class token's.

    A number becomes ``x w + b`` with a vector `w` and `b` of its own; a category becomes a learned vector of its own.

    Args:
        input_shape: ``(features,)``.
        width: length of a token, a multiple of `heads`, which is the length of the features.
        depth: blocks.
        heads: attention heads of a block.
        dropout: fraction dropped behind each attention and perceptron.
        groups: how many features each column has, ``"1,1,7"``; kptk fills it in from the preprocessor. Empty: each feature is
            a token.

    Returns:
        A functional `keras.Model` from prepared rows to features ``(batch, width)``.

    Example:
        >>> ft_transformer((5,), width=8, depth=1, heads=2, groups="1,1,3").output_shape
        (None, 8)

    References:
        https://arxiv.org/abs/2106.11959, section 3.3
    """
    if width % heads:
        raise bad_value("width", f"a multiple of the {heads} heads", width)
    inputs = keras.Input(input_shape, name="rows")
    tokens: list[Any] = []
    for start, stop, single in together(sizes(groups, input_shape[0])):
        part, count = inputs[:, start:stop], stop - start
        if single:
            part = keras.layers.Reshape((count, 1), name=f"numbers{start}")(part)
        else:
            part, count = keras.layers.Reshape((1, count), name=f"code{start}")(part), 1
        if not tokens:
            # The class token: one more place without any input, whose bias is learned.
            part, count = keras.layers.ZeroPadding1D((1, 0), name="class_place")(part), count + 1
        project = keras.layers.EinsumDense(
            "bnp,npd->bnd",
            output_shape=(count, width),
            bias_axes="nd",
            kernel_initializer=keras.initializers.RandomUniform(-(width**-0.5), width**-0.5),
            bias_initializer=keras.initializers.RandomUniform(-(width**-0.5), width**-0.5),
            name=f"token{start}",
        )
        tokens.append(project(part))
    x = keras.layers.Concatenate(axis=1, name="tokens")(tokens) if len(tokens) > 1 else tokens[0]
    x = encoder(width, depth=depth, heads=heads, dropout=dropout, name="encoder")(x)
    x = keras.layers.Cropping1D((0, len(sizes(groups, input_shape[0]))), name="class_token")(x)
    return keras.Model(inputs, keras.layers.Reshape((width,), name="flatten")(x), name="ft_transformer")
