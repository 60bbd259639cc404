"""Pairs of segments of a corpus, for next-sentence prediction and sentence order."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.training.tokens import TokenFacts
from kptk_text.corpus import no_other_text, no_pairs
from kptk_text.token_store import TokenStore
from kptk_text.windows import TokenRows

SHORT = 0.1
"""Share of the pairs that are shorter than they could be, so that the model sees short ones too."""


class Pairs(TokenRows):
    """``[CLS] A [SEP] B [SEP]``, each of one or more sentences that follow each other, with the answer in the third channel.

    A row has the shape ``(3, length)``: token numbers; segments, 0 for A and 1 for B; and the answer in the first place of
    the third channel. With ``order=False`` the answer is 1 if B is not what follows A but begins anywhere in another text,
    for half of the rows and for all whose chunk has a single sentence. With ``order=True`` both follow each other, and the
    answer is 1 if they were swapped.

    Rows are a function of the seed, the row number and the epoch: the sentences of a row stay, but which rows are false, where A
    ends and what a false B is are drawn anew in each epoch. Plain reading gives the rows of the first one.

    Args:
        raw: the texts.
        store: their tokens, a unit a sentence.
        facts: what the numbers mean.
        length: numbers of a row.
        state: of the tokeniser, for the fingerprint.
        order: whether the answer is the order of the two.
        seed: decides the cuts and which rows are false.

    References:
        BERT's create_pretraining_data, https://arxiv.org/abs/1810.04805; sentence order, https://arxiv.org/abs/1909.11942
    """

    def __init__(
        self, raw: Source, store: TokenStore, facts: TokenFacts, length: int, state: str, *, order: bool, seed: int
    ) -> None:
        super().__init__(raw, store, facts, length, state)
        self.row_shape = (3, length)
        self.order = order
        self.seed = seed
        self.what = "pairs"
        self.epoch = 0
        self._firsts = np.flatnonzero(np.diff(store.texts, prepend=-1))
        self._ends = np.append(self._firsts[1:], len(store.texts))
        if not (self._ends - self._firsts > 1).any():
            raise no_pairs(raw)
        if not order and len(self._firsts) < 2:
            raise no_other_text(raw)
        self._chunks = self._cut()

    def __len__(self) -> int:
        return len(self._chunks)

    def fingerprint(self) -> str:
        """Hash of the texts, the vocabulary, the seed and the kind of pairs."""
        return hashlib.sha256(f"{super().fingerprint()}{self.order}{self.seed}".encode()).hexdigest()

    def at_epoch(self, epoch: int) -> Pairs:
        """The pairs of an epoch.

        Args:
            epoch: counted from 0.
        """
        if epoch == self.epoch:
            return self
        other = copy.copy(self)
        other.epoch = epoch
        return other

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Make some pairs."""
        batch = np.zeros((len(rows), *self.row_shape), dtype=np.int32)
        for place, row in enumerate(rows):
            first, second, answer = self._pair(int(row))
            line, a, b = batch[place], len(first) + 2, len(second) + 1
            line[0, 0] = self.facts.start
            line[0, 1 : a - 1] = first
            line[0, a - 1] = self.facts.end
            line[0, a : a + b - 1] = second
            line[0, a + b - 1] = self.facts.end
            line[1, a : a + b] = 1
            line[2, 0] = answer
        return batch

    def _cut(self) -> NDArray[np.int64]:
        """Chunks of sentences that follow each other and fill a row: first sentence, sentence behind the last, tokens wanted."""
        rng = np.random.default_rng([self.seed, 31])
        room = self.length - 3
        lengths = np.diff(self.store.starts)
        chunks = []
        for first, end in zip(self._firsts, self._ends, strict=True):
            begin, tokens, wanted = int(first), 0, room
            for sentence in range(int(first), int(end)):
                tokens += int(lengths[sentence])
                if tokens >= wanted or sentence == end - 1:
                    if not self.order or sentence > begin:
                        chunks.append((begin, sentence + 1, wanted))
                    begin, tokens = sentence + 1, 0
                    wanted = int(rng.integers(2, room + 1)) if rng.random() < SHORT else room
        return np.array(chunks, dtype=np.int64).reshape(-1, 3)

    def _pair(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        begin, end, wanted = (int(number) for number in self._chunks[row])
        rng = np.random.default_rng([self.seed, 32, row, *([self.epoch] if self.epoch else [])])
        middle = begin + (int(rng.integers(1, end - begin)) if end - begin > 1 else 1)
        first, second = self._tokens(begin, middle), self._tokens(middle, end)
        answer = int(rng.random() < 0.5)
        if self.order:
            if answer:
                first, second = second, first
        elif answer or middle == end:
            answer = 1
            second = self._elsewhere(begin, wanted - len(first), rng)
        return (*self._shortened(first, second, wanted, rng), answer)

    def _elsewhere(self, sentence: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sentences from any place of another text."""
        own = int(np.searchsorted(self._firsts, sentence, side="right")) - 1
        other = int(rng.integers(len(self._firsts) - 1))
        other += other >= own
        first, end = int(self._firsts[other]), int(self._ends[other])
        begin = int(rng.integers(first, end))
        lengths = np.cumsum(np.diff(self.store.starts[begin : end + 1]))
        stop = begin + int(np.searchsorted(lengths, max(wanted, 1))) + 1
        return self._tokens(begin, min(stop, end))

    def _tokens(self, first: int, end: int) -> NDArray[np.int64]:
        return self.store.tokens[self.store.starts[first] : self.store.starts[end]].astype(np.int64)

    @staticmethod
    def _shortened(
        first: NDArray[np.int64], second: NDArray[np.int64], wanted: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Take tokens off the longer one, at its front or its back, until both fit."""
        over = len(first) + len(second) - wanted
        if over <= 0:
            return first, second
        low, high = sorted((len(first), len(second)))
        # The longer one is cut first; once both are equally long, each in turn.
        cut_longer = min(over, high - low) + (over - min(over, high - low) + 1) // 2
        cuts = (cut_longer, over - cut_longer) if len(first) >= len(second) else (over - cut_longer, cut_longer)
        fronts = [int(rng.binomial(cut, 0.5)) for cut in cuts]
        return tuple(  # type: ignore[return-value]
            part[front : len(part) - (cut - front)]
            for part, front, cut in zip((first, second), fronts, cuts, strict=True)
        )
