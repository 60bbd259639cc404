"""A small Transformer that reads from left to right, for language models."""

from __future__ import annotations

import keras

from kptk_text.bert import refuse_sizes
from kptk_text.blocks import ENCODER, attention, dropped, embed_model, perceptron, pool_model, whole

EPSILON = 1e-5


def causal_transformer(
    input_shape: tuple[int, ...],
    *,
    vocabulary: int = 0,
    layers: int = 2,
    heads: int = 2,
    width: int = 128,
    mlp_ratio: int = 4,
    positions: int = 0,
    dropout: float = 0.1,
    pool: str = "last",
) -> keras.Model:
    """Build a decoder like GPT-2's: normalisation before each part, and no token sees those behind it.

    Args:
        input_shape: ``(length,)``.
        vocabulary: how many tokens; `kptk train` sets it to what the preprocessor learned.
        layers: how many.
        heads: attention heads; they must divide the width.
        width: length of the vectors.
        mlp_ratio: hidden width of the perceptrons, as a multiple of the width.
        positions: how many positions have a vector; 0 for the length of the input.
        dropout: fraction dropped behind every part, and of the attention weights.
        pool: the features: the ``"last"`` token, which has seen all; ``"mean"`` of the tokens; ``"none"``, all.

    Returns:
        A functional `keras.Model` from token numbers, 0 for padding, to features ``(batch, width)``, with the stages of
        `kptk.training.tokens`.

    Raises:
        UsageError: if the sizes do not fit each other.

    Example:
        >>> causal_transformer((16,), vocabulary=100, width=32).output_shape
        (None, 32)

    References:
        GPT-2, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
    """
    length = int(input_shape[-1])
    refuse_sizes(input_shape, vocabulary=vocabulary, heads=heads, width=width, positions=positions)
    embed = embed_model(
        input_shape,
        vocabulary=vocabulary,
        width=width,
        positions=positions or length,
        segments=0,
        epsilon=EPSILON,
        dropout=dropout,
        norm=False,
    )
    vectors, mask = keras.Input((length, width), name="vectors"), keras.Input((length,), dtype="bool", name="mask")
    x = vectors
    for index in range(layers):
        name = f"layer{index}"
        y = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
        y = attention(y, mask, heads=heads, causal=True, dropout=dropout, name=name)
        x = keras.layers.Add(name=f"{name}_add1")([x, dropped(y, dropout, f"{name}_dropout1")])
        y = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
        y = perceptron(y, hidden=mlp_ratio * width, name=name)
        x = keras.layers.Add(name=f"{name}_add2")([x, dropped(y, dropout, f"{name}_dropout2")])
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    encoder = keras.Model([vectors, mask], x, name=ENCODER)
    return whole(input_shape, embed, encoder, pool_model(width, length, pool), "causal_transformer")
