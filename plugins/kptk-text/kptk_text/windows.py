"""A corpus as windows of one length: every token of it is in one row, and few places are padding."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.training.tokens import TokenFacts
from kptk_text.token_store import TokenStore


class TokenRows(Source):
    """Base of the sources that pre-training reads; rows are token numbers.

    Args:
        raw: the texts.
        store: their tokens.
        facts: what the numbers mean.
        length: numbers of a row.
        state: of the tokeniser, for the fingerprint.
    """

    inputs = "text"
    what = "rows"

    def __init__(self, raw: Source, store: TokenStore, facts: TokenFacts, length: int, state: str) -> None:
        self.raw = raw
        self.store = store
        self.facts = facts
        self.length = length
        self.row_shape = (length,)
        self.skipped = raw.skipped
        self._state = state

    def fingerprint(self) -> str:
        """Hash of the texts, the vocabulary and the way of cutting."""
        parts = (self.raw.fingerprint(), self._state, type(self).__name__, str(self.row_shape))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def describe(self) -> str:
        """One line: the texts, and what was made of them."""
        return (
            f"{self.raw.describe()}; as {len(self):,} {self.what} of {self.length} tokens, {len(self.store.tokens):,} in "
            f"all, vocabulary {self.facts.vocabulary:,}"
        )


class Windows(TokenRows):
    """``[CLS] some hundred tokens [SEP]``, one after the other; a text ends with ``[SEP]`` wherever it ends.

    Rows are the windows in the order of the corpus; only the last one may have padding.

    Example:
        >>> from kptk_text.home_intents import home_intents
        >>> from kptk_text.text_tokens import TextTokens
        >>> layer = TextTokens(vocabulary=500, length=32)
        >>> layer.fit(home_intents())
        >>> layer.prepared(home_intents(), training=True).read(np.array([0, 7])).shape
        (2, 32)

    References:
        RoBERTa's full sentences, https://arxiv.org/abs/1907.11692
    """

    what = "windows"

    @property
    def body(self) -> int:
        """Tokens of the corpus in a row."""
        return self.length - 2

    def __len__(self) -> int:
        count, rest = divmod(len(self.store.tokens), self.body)
        return count + (rest > 1 or count == 0)  # a rest of one token is the last text's [SEP] alone

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Cut some windows out of the corpus."""
        places = np.asarray(rows)[:, None] * self.body + np.arange(self.body)
        total = len(self.store.tokens)
        inside = places < total
        tokens = np.where(inside, self.store.tokens[np.minimum(places, total - 1)], 0).astype(np.int32)
        batch = np.zeros((len(tokens), self.length), dtype=np.int32)
        batch[:, 0] = self.facts.start
        batch[:, 1:-1] = tokens
        last = inside.sum(axis=1)  # the place behind the last token
        open_end = batch[np.arange(len(batch)), last] != self.facts.end
        batch[np.flatnonzero(open_end), last[open_end] + 1] = self.facts.end
        return batch


class Sentences(TokenRows):
    """``[CLS] one sentence [SEP]`` a row, cut at the length."""

    what = "sentences"

    def __len__(self) -> int:
        return len(self.store.texts)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some sentences."""
        batch = np.zeros((len(rows), self.length), dtype=np.int32)
        for place, row in enumerate(rows):
            ids = self.store.unit(int(row))[: self.length - 2]
            batch[place, 0] = self.facts.start
            batch[place, 1 : len(ids) + 1] = ids
            batch[place, len(ids) + 1] = self.facts.end
        return batch
