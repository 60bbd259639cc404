"""`KeyedVectors`: words and their vectors, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError, did_you_mean


@dataclass(frozen=True)
class KeyedVectors:
    """Words and their vectors.

    Args:
        words: the words, the most frequent first.
        vectors: shape ``(words, dim)``.

    Example:
        >>> vectors = KeyedVectors(("up", "down", "left"), np.array([[1.0, 0.1], [0.9, 0.2], [0.0, 1.0]]))
        >>> [word for word, _ in vectors.neighbours("up", 1)]
        ['down']
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The vectors at length 1."""
        length = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(self.vectors / np.maximum(length, 1e-12), np.float32)

    def row(self, word: str) -> int:
        """The row of a word; small letters are tried as well.

        Args:
            word: the word.

        Raises:
            InputError: if it has no vector.
        """
        for form in (word, word.lower()):
            if form in self.index:
                return self.index[form]
        hint = (
            did_you_mean(word.lower(), self.words) or f"There are {len(self.words):,} words, such as '{self.words[0]}'."
        )
        raise InputError(f"'{word}' has no vector. {hint}")

    def neighbours(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words of the largest cosine with a word, without itself.

        Args:
            word: the word.
            count: how many.
        """
        row = self.row(word)
        return self._nearest(self.unit[row], count, {row})

    def analogy(self, plus: Sequence[str], minus: Sequence[str], count: int = 10) -> list[tuple[str, float]]:
        """The words nearest to a sum of unit vectors: ``king - man + woman`` is near ``queen`` (3CosAdd).

        Args:
            plus: words to add.
            minus: words to take away.
            count: how many.

        References:
            https://aclanthology.org/W14-1618/
        """
        added, taken = [self.row(word) for word in plus], [self.row(word) for word in minus]
        wanted = self.unit[added].sum(axis=0) - self.unit[taken].sum(axis=0)
        return self._nearest(wanted / max(float(np.linalg.norm(wanted)), 1e-12), count, {*added, *taken})

    def _nearest(self, wanted: NDArray[np.float32], count: int, without: set[int]) -> list[tuple[str, float]]:
        cosine = self.unit @ wanted
        cosine[list(without)] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: min(count, len(self.words) - len(without))]
        return [(self.words[row], float(cosine[row])) for row in best]
