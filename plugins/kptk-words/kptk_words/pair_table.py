"""`PairTable`: counted pairs of words as training rows, in a memory-mapped file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, RunError

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
        self._file = tempfile.TemporaryFile(prefix="kptk-pairs-")  # noqa: SIM115 - it lives as long as the source
        self._rows = 0
        try:
            for i, j, sums in parts:
                np.stack([i, j, sums], axis=1).astype(np.float32).tofile(self._file)
                self._rows += len(i)
            self._file.flush()
        except OSError as error:
            raise RunError(f"could not write the pairs of {raw.describe()}: {error.strerror or error}") from error
        if not self._rows:
            raise InputError(f"{raw.describe()}: no two words of the vocabulary stand near each other in a text.")
        self.table = np.memmap(self._file, np.float32, "r", shape=(self._rows, 3))

    def __len__(self) -> int:
        return self._rows

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some pairs, shape ``(rows, 3)``."""
        return np.asarray(self.table[rows])

    def fingerprint(self) -> str:
        """Hash of the texts' fingerprint and of what counted their pairs."""
        return hashlib.sha256(f"{self._raw.fingerprint()}{self._state}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: the texts, and how many pairs they make."""
        return f"{self._raw.describe()}; {len(self):,} different pairs of words"
