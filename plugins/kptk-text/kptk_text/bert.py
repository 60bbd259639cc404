"""BERT's encoder, of any size, with new weights or those of a local folder."""

from __future__ import annotations

import keras

from kptk.errors import UsageError
from kptk_text.blocks import ENCODER, attention, dropped, embed_model, perceptron, pool_model, whole

EPSILON = 1e-12


def bert(
    input_shape: tuple[int, ...],
    *,
    vocabulary: int = 0,
    layers: int = 2,
    heads: int = 2,
    width: int = 128,
    mlp_ratio: int = 4,
    positions: int = 0,
    segments: int = 2,
    dropout: float = 0.1,
    pool: str = "mean",
    weights: str = "",
) -> keras.Model:
    """Build BERT's encoder: attention and a perceptron a layer, each added and normalised, with the exact GELU.

    Args:
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        vocabulary: how many tokens; `kptk train` sets it to what the preprocessor learned.
        layers: how many.
        heads: attention heads; they must divide the width.
        width: length of the vectors.
        mlp_ratio: hidden width of the perceptrons, as a multiple of the width.
        positions: how many positions have a vector; 0 for the length of the input.
        segments: how many kinds of segments have one; 0 for none.
        dropout: fraction dropped behind every part, and of the attention weights.
        pool: the features: ``"mean"`` of the tokens; ``"cls"``, the first token behind a dense layer with tanh; ``"none"``, all.
        weights: a local folder in Hugging Face's layout, ``config.json`` and ``model.safetensors``, of a BERT; its sizes then
            stand instead of those above.

    Returns:
        A functional `keras.Model` from token numbers, 0 for padding, to features ``(batch, width)``, with the stages of
        `kptk.training.tokens`.

    Raises:
        UsageError: if the sizes do not fit each other.
        InputError: if the folder cannot be read.

    Example:
        >>> bert((128,), vocabulary=30522, layers=12, heads=12, width=768, positions=512, pool="cls").count_params()
        109482240

    References:
        BERT, https://arxiv.org/abs/1810.04805
    """
    if weights:
        from kptk_text.hf_weights import load_bert

        return load_bert(weights, input_shape, vocabulary=vocabulary, dropout=dropout, pool=pool)
    length = int(input_shape[-1])
    refuse_sizes(input_shape, vocabulary=vocabulary, heads=heads, width=width, positions=positions)
    embed = embed_model(
        input_shape,
        vocabulary=vocabulary,
        width=width,
        positions=positions or length,
        segments=segments,
        epsilon=EPSILON,
        dropout=dropout,
        norm=True,
    )
    vectors, mask = keras.Input((length, width), name="vectors"), keras.Input((length,), dtype="bool", name="mask")
    x = vectors
    for index in range(layers):
        name = f"layer{index}"
        y = attention(x, mask, heads=heads, causal=False, dropout=dropout, name=name)
        x = keras.layers.Add(name=f"{name}_add1")([x, dropped(y, dropout, f"{name}_dropout1")])
        x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
        y = perceptron(x, hidden=mlp_ratio * width, name=name)
        x = keras.layers.Add(name=f"{name}_add2")([x, dropped(y, dropout, f"{name}_dropout2")])
        x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    encoder = keras.Model([vectors, mask], x, name=ENCODER)
    return whole(input_shape, embed, encoder, pool_model(width, length, pool), "bert")


def refuse_sizes(input_shape: tuple[int, ...], *, vocabulary: int, heads: int, width: int, positions: int) -> None:
    """Raise if the sizes of a text Transformer cannot be.

    Args:
        input_shape: of a row.
        vocabulary: tokens.
        heads: attention heads.
        width: length of a vector.
        positions: positions with a vector; 0 for as many as needed.

    Raises:
        UsageError: with what does not fit.
    """
    if len(input_shape) not in (1, 2) or (len(input_shape) == 2 and input_shape[0] != 2):
        raise UsageError(
            f"`input_shape` must be (length,) or (2, length) of token numbers. Received: {tuple(input_shape)}. Texts become "
            "numbers by a preprocessor: --preprocessor text_tokens"
        )
    if vocabulary < 2:
        raise UsageError(
            f"`vocabulary` must be the number of tokens, such as layer.tokens.vocabulary of a fitted preprocessor. Received: "
            f"{vocabulary}."
        )
    if width % heads:
        raise UsageError(f"`width` must be a multiple of `heads`. Received: width {width}, heads {heads}.")
    if positions and positions < input_shape[-1]:
        raise UsageError(
            f"`positions` must be at least the length of a row. Received: {positions} positions, rows of {input_shape[-1]} "
            f"tokens. Use shorter rows: -o preprocessor.length={positions}"
        )
