"""A multi-layer perceptron with batch normalisation for tables."""

from __future__ import annotations

import keras

from kptk_tables.grouping import sizes, together


def table_mlp(
    input_shape: tuple[int, ...],
    *,
    units: int = 256,
    depth: int = 3,
    batch_norm: bool = True,
    dropout: float = 0.0,
    embedding: int = 0,
    groups: str = "",
) -> keras.Model:
    """Build `depth` times Dense -> batch normalisation (if asked for) -> ReLU -> dropout.

    Args:
        input_shape: ``(features,)``.
        units: width of each layer, which is the length of the features.
        depth: number of dense layers.
        batch_norm: whether batch normalisation stands before each activation; the dense layers then have no bias.
        dropout: fraction dropped after each activation.
        embedding: length of the vector that is learned for each category of a column before the first layer; 0 gives the
            first layer the encoded categories as they are.
        groups: how many features each column has, ``"1,1,7"``; kptk fills it in from the preprocessor. Only embeddings need it.

    Returns:
        A functional `keras.Model` from prepared rows to features ``(batch, units)``.

    Example:
        >>> table_mlp((5,), units=8, depth=2, embedding=4, groups="1,1,3").count_params()
        188
    """
    inputs = keras.Input(input_shape, name="rows")
    x = inputs
    if embedding:
        parts = []
        for start, stop, single in together(sizes(groups, input_shape[0])):
            part = inputs[:, start:stop]
            if not single:
                # A one-hot code times a matrix is a row of it: an embedding of the category.
                part = keras.layers.Dense(embedding, use_bias=False, name=f"embedding{start}")(part)
            parts.append(part)
        x = keras.layers.Concatenate(name="columns")(parts) if len(parts) > 1 else parts[0]
    for index in range(depth):
        dense = keras.layers.Dense(
            units, use_bias=not batch_norm, kernel_initializer="he_uniform", name=f"dense{index}"
        )
        x = dense(x)
        if batch_norm:
            # Keras' own 0.99 has forgotten only half of its start after 70 steps; runs on few labels are hardly longer.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{index}")(x)
        x = keras.layers.ReLU(name=f"activation{index}")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{index}")(x)
    return keras.Model(inputs, x, name="table_mlp")
