"""`Coded`: the cells of a column of labels or parts, on disk until they are wanted as something else."""

from __future__ import annotations

import tempfile
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk_tables.distinct import Looked
from kptk_tables.inference import Profile
from kptk_tables.vocabulary import Vocabulary

BLOCK = 1 << 16
"""Cells read at a time."""


class Coded:
    """Cells of a whole column as codes, or as numbers where too many differ. Memory does not grow with their count.

    Args:
        profile: what was found out about the column.

    Attributes:
        few: whether the column has few enough different values to have codes.
        wrong: the first cell of a column with many values that is no number.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.few = profile.values is not None
        self.wrong = ""
        self._vocabulary = Vocabulary()
        self._dtype: Any = np.dtype(np.int32 if self.few else np.float64)
        self._counts = np.zeros(1, np.int64)
        self._rows = 0
        self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._rows

    def add(self, looked: Looked, good: NDArray[np.bool_]) -> None:
        """Add some rows.

        Args:
            looked: their cells.
            good: which of them are rows of the table.
        """
        cells: NDArray[Any]
        if self.few:
            cells = self._vocabulary.codes(looked.found)[good]
            counts = np.bincount(cells + 1, minlength=len(self._counts))
            counts[: len(self._counts)] += self._counts
            self._counts = counts
        else:
            cells, bad = self.profile.numbers_of(looked)
            if not self.wrong and bad is not None and bad[good].any():
                self.wrong = looked.found.text(int(np.flatnonzero(bad & good)[0]))
            cells = cells[good]
        self._rows += len(cells)
        self._file.write(cells.tobytes())

    @property
    def counts(self) -> dict[str, int]:
        """How often each value that there is stands in the column, in alphabetical order; that of a missing one is empty."""
        names = ("", *self._vocabulary.names)
        return {
            names[place]: int(self._counts[place])
            for place in sorted(np.flatnonzero(self._counts), key=names.__getitem__)
        }

    def as_values(self, meaning: dict[str, Any], dtype: Any) -> NDArray[Any]:
        """Each cell of a column of few values as something else.

        Args:
            meaning: what each value stands for; the empty one for a missing cell.
            dtype: of the result.
        """
        table = np.array([meaning.get(name, 0) for name in ("", *self._vocabulary.names)], dtype)
        made = np.empty(self._rows, dtype)
        self._file.seek(0)
        for start in range(0, self._rows, BLOCK):
            codes = np.frombuffer(self._file.read(BLOCK * self._dtype.itemsize), self._dtype)
            made[start : start + len(codes)] = table[codes + 1]
        return made

    def as_numbers(self) -> NDArray[np.float64]:
        """Each cell of a column of many values as a number; NaN where it is missing or no number."""
        self._file.seek(0)
        return np.fromfile(self._file, np.float64)
