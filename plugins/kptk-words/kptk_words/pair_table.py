"""`PairTable`: counted pairs of words as training rows, in a memory-mapped file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk_words.scratch import on_disk

Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


class PairTable(Source):
    """Rows of word i, word j, and how often they stand together, as 4-byte floats: word numbers up to 16 million are exact.

    Args:
        parts: of the table.
        raw: where the texts come from.
        state: what counted them, for the fingerprint.

    Raises:
        InputError: if there is no pair.
        RunError: if the temporary file cannot be written.
    """

    def __init__(self, parts: Iterable[Part], raw: Source, state: str) -> None:
        self.inputs = "text"
        self.row_shape = (3,)
        self._raw = raw
        self._state = state
        rows = (np.stack([i, j, sums], axis=1) for i, j, sums in parts)
        self.table = on_disk(rows, np.float32, "pairs of words").reshape(-1, 3)
        if not len(self.table):
            raise InputError(f"{raw.describe()}: no two words of the vocabulary stand near each other in a text.")

    def __len__(self) -> int:
        return len(self.table)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some pairs, shape ``(rows, 3)``."""
        return np.asarray(self.table[rows])

    def fingerprint(self) -> str:
        """Hash of the texts' fingerprint and of what counted their pairs."""
        return hashlib.sha256(f"{self._raw.fingerprint()}{self._state}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: the texts, and how many pairs they make."""
        return f"{self._raw.describe()}; {len(self):,} different pairs of words"
