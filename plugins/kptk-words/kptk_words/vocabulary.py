"""`Vocabulary`: which words there are, how often they occur, and their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Number of padding and of document ends; of unknown words; of the most frequent word."""
DISTINCT = 10_000_000
"""So many different words are counted at most; above it the rarest are forgotten, as the C program does."""


def tokeniser(pattern: str, lowercase: bool) -> Callable[[str], list[str]]:
    """A function from a text to its words.

    Args:
        pattern: regular expression of a word; empty to split at white space.
        lowercase: whether to write them small.

    Raises:
        InputError: if the pattern is no regular expression.
    """
    if not pattern:
        return (lambda text: text.lower().split()) if lowercase else str.split
    try:
        find = re.compile(pattern).findall
    except re.error as error:
        raise InputError(f"`pattern` must be a regular expression. Received: {pattern!r} ({error}).") from None
    return (lambda text: find(text.lower())) if lowercase else find


@dataclass(frozen=True)
class Vocabulary:
    """Words by falling frequency. Word ``i`` of `words` has the number ``i + 2``: 0 is padding, 1 an unknown word.

    Args:
        words: the words.
        counts: occurrences of each in the training text.
        total: words of the training text, including those that are not in it.
        documents: texts with words in it.

    Example:
        >>> vocabulary = Vocabulary.count([["a", "b", "a"], ["c", "a", "b"]], min_count=2)
        >>> vocabulary.words, vocabulary.encode(["b", "c", "a"]).tolist()
        (('a', 'b'), [3, 1, 2])
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    total: int
    documents: int

    @classmethod
    def count(cls, documents: Iterable[Sequence[str]], *, min_count: int = 1, max_words: int = 0) -> Vocabulary:
        """Count words.

        Args:
            documents: the words of each text.
            min_count: a rarer word is left out.
            max_words: only so many of the most frequent are kept; 0 for all.

        Raises:
            InputError: if fewer than two words are left, so that there is nothing to predict.
        """
        found: Counter[str] = Counter()
        total, texts, floor = 0, 0, 1
        for words in documents:
            found.update(words)
            total += len(words)
            texts += bool(words)
            while len(found) > DISTINCT:
                floor += 1
                found = Counter({word: times for word, times in found.items() if times >= floor})
        if not total:
            raise InputError("the text has no words. Is it empty, or does the option `pattern` match nothing in it?")
        # By falling count, then by the alphabet, so that the order of the texts does not matter.
        order = sorted((-times, word) for word, times in found.items() if times >= min_count)
        order = order[:max_words] if max_words else order
        if len(order) < 2:
            commonest, times = max(found.items(), key=lambda item: (item[1], item[0]))
            raise InputError(
                f"only {len(order)} of {len(found):,} different words occur {min_count} times or more (the commonest, "
                f"'{commonest}', {times:,} times), and word vectors need at least 2. Give more text, or a smaller min_count."
            )
        return cls(tuple(word for _, word in order), tuple(-times for times, _ in order), total, texts)

    @property
    def size(self) -> int:
        """How many numbers there are, padding and unknown included."""
        return len(self.words) + FIRST

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words, FIRST)}

    def encode(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Numbers of words, 1 for those that are not in the vocabulary.

        Args:
            words: any.
        """
        return np.fromiter(map(self.index.get, words, repeat(UNKNOWN)), np.int32, len(words))

    def numbered_counts(self) -> NDArray[np.int64]:
        """Occurrences by number, shape ``(size,)``; padding has none, unknown words have what is left of the text."""
        counts = np.array([0, 0, *self.counts], np.int64)
        counts[UNKNOWN] = self.total - counts.sum()
        return counts

    def to_config(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "words": list(self.words),
            "counts": list(self.counts),
            "total": self.total,
            "documents": self.documents,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Vocabulary:
        """From what `to_config` gave.

        Args:
            config: that.
        """
        return cls(tuple(config["words"]), tuple(config["counts"]), config["total"], config["documents"])
