"""A decoder that writes a text while it looks at another one, on a pre-trained encoder of texts.

A row for it holds two texts: the token numbers of the encoder's text, and behind them those of the text that is written, which
begins with its start token. The decoder sees all of the latter but its last place, and gives at each place a vector for the
token that comes next: so a row holds inputs and targets of the decoder.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.tokens import PADDING, stages, token_vectors

DECODER, READER = "sequence_decoder", "reader"
"""Names of the two models within the network that `sequence_decoder` returns."""
EPSILON = 1e-6


def decoder_block(x: Any, memory: Any, mask: Any, *, heads: int, dropout: float, name: str) -> Any:
    """Add a pre-norm block: causal self-attention, attention to the memory, and a perceptron, each added to what came in.

    Args:
        x: vectors of the text that is written, shape ``(batch, length, width)``.
        memory: vectors of the text that is read, shape ``(batch, read, width)``.
        mask: True at its tokens, shape ``(batch, read)``.
        heads: attention heads; they must divide the width.
        dropout: fraction dropped behind each part.
        name: prefix of the layers' names.

    References:
        https://arxiv.org/abs/1706.03762, https://arxiv.org/abs/2002.04745 (pre-norm)
    """
    width = int(x.shape[-1])
    kernel = keras.initializers.TruncatedNormal(stddev=width**-0.5)

    def attend(part: str, y: Any, to: Any, **how: Any) -> Any:
        layer = keras.layers.MultiHeadAttention(heads, width // heads, kernel_initializer=kernel, name=f"{name}_{part}")
        return layer(y, to, **how)

    def added(part: str, before: Any, made: Any) -> Any:
        if dropout:
            made = keras.layers.Dropout(dropout, name=f"{name}_{part}_dropout")(made)
        return keras.layers.Add(name=f"{name}_{part}_add")([before, made])

    def normal(part: str, y: Any) -> Any:
        return keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_{part}_norm")(y)

    y = normal("self", x)
    x = added("self", x, attend("self", y, y, use_causal_mask=True))
    x = added("cross", x, attend("cross", normal("cross", x), memory, attention_mask=ops.expand_dims(mask, 1)))
    y = keras.layers.Dense(4 * width, activation="gelu", name=f"{name}_mlp1")(normal("mlp", x))
    return added("mlp", x, keras.layers.Dense(width, name=f"{name}_mlp2")(y))


def sequence_decoder(
    backbone: keras.Model, length: int, *, layers: int = 2, heads: int = 2, dropout: float = 0.1
) -> keras.Model:
    """A network from rows of two texts to a vector for each place of the second.

    The decoder begins with a copy of the encoder's vectors of the tokens; everything else of it is new.

    Args:
        backbone: a token backbone, which reads the first text.
        length: tokens of the text that is written, its start token among them.
        layers: blocks of the decoder, at least 1.
        heads: attention heads; they must divide the backbone's width.
        dropout: fraction dropped behind each part of a block.

    Returns:
        A functional model from token numbers ``(batch, read + length + 1)`` to vectors ``(batch, length, width)``. It holds the
        models `READER` (from token numbers to vectors of the text that is read) and `DECODER` (from token numbers, those vectors
        and their mask to vectors).

    Raises:
        UsageError: if the backbone does not work on tokens, or the sizes do not fit.

    References:
        Rothe et al. 2020, https://arxiv.org/abs/1907.12461
    """
    found = stages(backbone)
    if found.width % heads:
        raise UsageError(f"`heads` must divide the backbone's width, {found.width}. Received: {heads}.")
    written = keras.Input((length,), dtype="int32", name="written")
    memory = keras.Input((found.length, found.width), name="memory")
    mask = keras.Input((found.length,), dtype="bool", name="mask")
    ones = ops.ones_like(written)
    places = ops.cumsum(ones, axis=1) - ones
    table = keras.layers.Embedding(length, found.width, name="place_embedding")
    # A table of its own, not the encoder's layer: in a plain Keras file a layer of two nested models is not kept as one.
    tokens = keras.layers.Embedding(found.vocabulary, found.width, name="written_embedding")
    x = keras.layers.Add(name="sum")([tokens(written), table(places)])
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="embed_norm")(x)
    for index in range(layers):
        x = decoder_block(x, memory, mask, heads=heads, dropout=dropout, name=f"block{index}")
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    decoder = keras.Model([written, memory, mask], x, name=DECODER)
    tokens.set_weights(found.table.get_weights()[:1])
    reader = _reader(backbone)
    rows = keras.Input((found.length + length + 1,), dtype="int32", name="rows")
    read = rows[:, : found.length]
    vectors = decoder([rows[:, found.length : -1], reader(read), ops.not_equal(read, PADDING)])
    return keras.Model(rows, vectors, name=f"{backbone.name}_with_{DECODER}")


def _reader(backbone: keras.Model) -> keras.Model:
    """The backbone's vectors of the tokens of one text, also of a backbone that takes segments."""
    found, network = stages(backbone), token_vectors(backbone)
    assert network is not None
    ids = keras.Input((found.length,), dtype="int32", name="read")
    inputs = ops.stack([ids, ops.zeros_like(ids)], axis=1) if found.segments else ids
    return keras.Model(ids, network(inputs), name=READER)
