"""What the kit knows of texts: pairs of segments in a tiny vocabulary, and the smallest token backbone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import ArraySource
from kptk.testing.toys import CLASSES, Toy, register_toy
from kptk.training.preprocessor import Preprocessor
from kptk.training.tokens import EMBED, ENCODER, POOL, TABLE, TokenFacts
from kptk.types import Tensor

LENGTH = 16
WIDTH = 16
WORDS = 6
"""Tokens that are typical of a class."""
PADDING, UNKNOWN, START, END, MASK = range(5)
SPECIALS = (PADDING, UNKNOWN, START, END, MASK)
VOCABULARY = len(SPECIALS) + 2 * CLASSES * WORDS

Array = NDArray[np.generic]


@keras.saving.register_keras_serializable(package="kptk")
class TokenRows(Preprocessor):
    """Rows of tokens, segments and the answer of the pair, as they are: ``(batch, 3, length)``.

    Args:
        views: how many copies.
        seed: unused.
        **kwargs: passed to `keras.layers.Layer`.
    """

    pairs = True

    @property
    def tokens(self) -> TokenFacts:
        """What the numbers mean; every third token goes on with the word before it."""
        continues = np.arange(VOCABULARY) % 3 == 0
        continues[list(SPECIALS)] = False
        return TokenFacts(
            vocabulary=VOCABULARY, mask=MASK, start=START, end=END, specials=SPECIALS, continues=continues
        )

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Copies without the answer."""
        return (self.plain(inputs),) * self.views

    def plain(self, inputs: Tensor) -> Tensor:
        """Tokens and segments."""
        return ops.convert_to_tensor(inputs)[:, :2]


def token_rows(count: int, seed: int) -> tuple[Array, Array]:
    """Pairs of segments of words that are typical of a class; a false pair's second one has words of its own.

    Args:
        count: how many rows.
        seed: decides all of them.

    Returns:
        Rows of shape ``(count, 3, length)`` and their classes.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    answers = rng.integers(0, 2, count)
    rows = np.zeros((count, 3, LENGTH), dtype="int32")
    half = LENGTH // 2
    for row, label, answer in zip(rows, labels, answers, strict=True):
        used = int(rng.integers(half - 3, half - 1))  # the end of a row is padding
        words = len(SPECIALS) + WORDS * label + rng.integers(0, WORDS, half + used)
        words[half:] += answer * CLASSES * WORDS
        row[0, : half + used] = words
        row[0, 0], row[0, half - 1], row[0, half + used] = START, END, END
        row[1, half : half + used + 1] = 1
        row[2, 0] = answer
    return rows, labels.astype("int64")


def raw_texts(count: int, seed: int) -> ArraySource:
    """Texts of two sentences each, with words that are typical of a class.

    Args:
        count: how many.
        seed: decides all of them.
    """
    rng = np.random.default_rng(seed)
    words = (
        ("cat", "dog", "horse", "bird"),
        ("river", "lake", "sea", "rain"),
        ("red", "blue", "green", "grey"),
        ("bread", "cheese", "soup", "rice"),
    )
    labels = np.arange(count) % CLASSES
    texts = [
        " ".join(f"The {' '.join(rng.choice(words[label], 4))} and number {rng.integers(100)}." for _ in range(2))
        for label in labels
    ]
    return ArraySource(np.array(texts, dtype=object), labels, inputs="text", name="toy texts")


def token_backbone(features: str) -> keras.Model:
    """The smallest model with the stages of `kptk.training.tokens`; no token sees those behind it.

    Args:
        features: ``"sequence"`` for no pooling, anything else for a vector.
    """
    inputs = keras.Input((2, LENGTH), dtype="int32", name="tokens")
    ids, kinds = ops.take(inputs, 0, axis=1), ops.take(inputs, 1, axis=1)
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    tables: list[Any] = []
    for name, size, numbers in ((TABLE, VOCABULARY, ids), ("position", LENGTH, places), ("segment", 2, kinds)):
        tables.append(keras.layers.Embedding(size, WIDTH, name=name)(numbers))
    x = keras.layers.Dropout(0.1, name="drop")(keras.layers.Add(name="sum")(tables))
    embed = keras.Model(inputs, keras.layers.LayerNormalization(name="norm")(x), name=EMBED)
    vectors, mask = keras.Input((LENGTH, WIDTH), name="vectors"), keras.Input((LENGTH,), dtype="bool", name="mask")
    attention = keras.layers.MultiHeadAttention(2, WIDTH // 2, name="layer0_attention")
    y = attention(vectors, vectors, attention_mask=ops.expand_dims(mask, 1), use_causal_mask=True)
    y = keras.layers.Add(name="add")([vectors, y])
    y = keras.layers.Dense(WIDTH, activation="gelu", name="layer0_mlp")(y)
    encoder = keras.Model([vectors, mask], keras.layers.LayerNormalization(name="layer0_norm")(y), name=ENCODER)
    rows = keras.Input((2, LENGTH), dtype="int32", name="rows")
    there = ops.not_equal(ops.take(rows, 0, axis=1), PADDING)
    out = encoder([embed(rows), there])
    return keras.Model(rows, out if features == "sequence" else _pool()([out, there]), name="tiny_tokens")


def _pool() -> keras.Model:
    vectors, mask = keras.Input((LENGTH, WIDTH), name="vectors"), keras.Input((LENGTH,), dtype="bool", name="mask")
    weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
    weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    pooled = ops.sum(vectors * ops.cast(weights, vectors.dtype), axis=1)
    return keras.Model([vectors, mask], pooled, name=POOL)


register_toy(
    "text",
    Toy(
        inputs=token_rows,
        backbone=token_backbone,
        views=lambda count: TokenRows(views=count, seed=0),
        shape=lambda smallest: (max(smallest, LENGTH),),
        raw=raw_texts,
        options={"vocabulary": VOCABULARY},
    ),
)
