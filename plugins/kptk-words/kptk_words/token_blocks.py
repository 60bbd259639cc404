"""`TokenBlocks`: a whole corpus as word numbers in a memory-mapped file, read in blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk_words.scratch import on_disk
from kptk_words.vocabulary import PADDING

CHUNK = 1024
"""Texts read at a time."""


def texts(source: Source) -> Iterator[str]:
    """Yield every text of a source, reading a few at a time.

    Args:
        source: rows of texts.
    """
    for start in range(0, len(source), CHUNK):
        yield from map(str, source.read(np.arange(start, min(start + CHUNK, len(source)))).tolist())


class TokenBlocks(Source):
    """Blocks of consecutive words of a corpus; a 0 ends each document, so that windows can stop there.

    The numbers are in a temporary file that goes with the object, and only what is read is in memory.

    Args:
        documents: the word numbers of each text; an empty one takes no place.
        block: words a row.
        raw: where the texts come from, for messages and the fingerprint.
        state: what turned texts into numbers, for the fingerprint.

    Raises:
        InputError: if there is no word in any text.
        RunError: if the temporary file cannot be written.
    """

    def __init__(self, documents: Iterable[NDArray[np.int32]], block: int, raw: Source, state: str = "") -> None:
        self.inputs = "text"
        self.row_shape = (block,)
        self._raw = raw
        self._state = state
        self.tokens = 0
        flat = on_disk(self._ended(documents), np.int32, "word numbers")
        if not self.tokens:
            raise InputError(f"{raw.describe()}: no word of it is in the vocabulary.")
        self.numbers = flat.reshape(-1, block)

    def _ended(self, documents: Iterable[NDArray[np.int32]]) -> Iterator[NDArray[np.int32]]:
        """Each document and a 0, and zeros up to the end of the last block."""
        end = np.array([PADDING], np.int32)
        for document in documents:
            if len(document):
                self.tokens += len(document) + 1
                yield document
                yield end
        yield np.zeros(-self.tokens % self.row_shape[0], np.int32)

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some blocks, shape ``(rows, block)``."""
        return np.asarray(self.numbers[rows])

    def fingerprint(self) -> str:
        """Hash of the texts' fingerprint and of what numbered them."""
        return hashlib.sha256(f"{self._raw.fingerprint()}{self._state}{self.row_shape}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: the texts, and how many words they make."""
        return f"{self._raw.describe()}; {self.tokens:,} words in blocks of {self.row_shape[0]}"
