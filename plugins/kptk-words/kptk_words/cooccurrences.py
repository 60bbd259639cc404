"""`Cooccurrences`: the preprocessor from texts to counted pairs of words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.types import Tensor
from kptk_words.cooccurrence import count
from kptk_words.pair_table import PairTable
from kptk_words.token_blocks import TokenBlocks
from kptk_words.words import Words

STRETCH = 1 << 18
"""Words counted at a time."""


@keras.saving.register_keras_serializable(package="kptk_words")
class Cooccurrences(Words):
    """Learns a vocabulary like `Words`; pre-training reads how often two words stand near each other, one row a pair.

    Args:
        min_count: a word that occurs less often in the training text is unknown.
        max_words: size of the vocabulary at most; 0 for any.
        pattern: regular expression of a word; empty to split at white space.
        lowercase: whether to write words small.
        window: words on each side that count, each with 1 / distance.
        symmetric: whether the words behind a word count, too.
        length: words of a text that are used outside pre-training; the rest is cut.
        views: 1.
        seed: not used: nothing is random.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://aclanthology.org/D14-1162/
    """

    def __init__(
        self,
        *,
        min_count: int = 5,
        max_words: int = 100_000,
        pattern: str = r"\w+",
        lowercase: bool = True,
        window: int = 10,
        symmetric: bool = True,
        length: int = 256,
        views: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        own = {
            "min_count": min_count,
            "max_words": max_words,
            "pattern": pattern,
            "lowercase": lowercase,
            "length": length,
        }
        super().__init__(**own, sample=0.0, views=views, seed=seed, **kwargs)  # type: ignore[arg-type]
        self.window = window
        self.symmetric = symmetric

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """The same texts as numbers, or, for pre-training, the pairs of words in them."""
        if not training:
            return super().prepared(source)
        blocks = super().prepared(source, training=True)
        assert isinstance(blocks, TokenBlocks)
        parts = count(_stretches(blocks), self.vocabulary_size, window=self.window, symmetric=self.symmetric)
        state = hashlib.sha256(json.dumps(self.get_config()).encode()).hexdigest()
        return PairTable(parts, source, state)

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The pairs as they are, shape ``(batch, 3)``."""
        return (inputs,)

    def check(self, inputs: Any) -> None:
        """Refuse what are no counted pairs."""
        if inputs.ndim != 2 or inputs.shape[1] != 3 or not np.all(inputs[:, 2] > 0):
            raise InputError(
                f"pairs must be rows of word, word and a count above 0. Received: {inputs.dtype} {inputs.shape}."
            )

    def get_config(self) -> dict[str, Any]:
        """Return every argument, and the vocabulary."""
        config = super().get_config()
        for name in ("unknown", "sample", "block"):
            del config[name]
        return {**config, "window": self.window, "symmetric": self.symmetric}


def _stretches(blocks: TokenBlocks) -> Iterator[NDArray[np.int32]]:
    flat = blocks.numbers.reshape(-1)
    for start in range(0, len(flat), STRETCH):
        yield np.asarray(flat[start : start + STRETCH])
