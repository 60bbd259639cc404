"""`TableSource`: rows of a table, read by number from a `RowStore`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, TEXT, Column
from kptk.data import BadInput, Source, Subset
from kptk_tables.row_store import RowStore

SHOWN = 40
"""Columns that are described by name at most."""


class TableSource(Source):
    """Rows of a table as Python objects, one a cell; use `kptk_tables.table_file.table_file` to open one.

    Args:
        name: the file, for messages.
        store: the rows.
        columns: names and kinds, in the order of the fields.
        categories: the names that the codes of each category stand for.
        checksum: of the file.
        skipped: rows that were left out.
    """

    inputs = "table"

    def __init__(
        self,
        name: str,
        store: RowStore,
        columns: tuple[Column, ...],
        categories: Mapping[str, tuple[str, ...]],
        checksum: str,
        skipped: tuple[BadInput, ...] = (),
    ) -> None:
        self.name = name
        self.columns = columns
        self.row_shape = (len(columns),)
        self.skipped = skipped
        self.label = ""
        self.test_part: Source | None = None
        self._store = store
        self._checksum = checksum
        # One place more for the code -1, which is what a missing category has.
        self._names = {n: np.array([*names, None], dtype=object) for n, names in categories.items()}

    def __len__(self) -> int:
        return len(self._store)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """Read some rows, shape ``(batch, columns)``; see `kptk.columns.Column` for what a cell is."""
        records = self._store.read(np.asarray(rows))
        cells = np.empty((len(rows), len(self.columns)), dtype=object)
        for place, column in enumerate(self.columns):
            field = records[f"c{place}"]
            if column.kind == CATEGORY:
                cells[:, place] = self._names[column.name][field]
            elif column.kind == DATE:
                cells[:, place] = field.astype("datetime64[us]").astype(object)
            elif column.kind == TEXT:
                cells[:, place] = [
                    None if length < 0 else self._store.text(begin, length) for begin, length in field.tolist()
                ]
            else:
                cells[:, place] = field.astype(object)
        return cells

    def called(self, name: str) -> TableSource:
        """The same rows by another name.

        Args:
            name: for messages.
        """
        self.name = name
        return self

    def fingerprint(self) -> str:
        """Hash of the file, of what its columns mean and of the rows left out."""
        meaning = ",".join(map(str, self.columns)) + self.label + "".join(bad.path for bad in self.skipped)
        return hashlib.sha256(f"{self._checksum}{meaning}{len(self)}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: the file, how many rows, the kind of each column."""
        if len(self.columns) <= SHOWN:
            kinds = " ".join(map(str, self.columns))
        else:
            counts = Counter(column.kind for column in self.columns)
            kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        label = f", {len(self.class_names)} classes of {self.label}" if self.class_names else ""
        if self.label and not self.class_names:
            label = f", {self.label} to predict"
        skipped = f", {len(self.skipped):,} rows left out" if self.skipped else ""
        return f"{self.name}: {len(self):,} rows of {len(self.columns)} columns{label}{skipped} ({kinds})"

    def holdout(self) -> Source | None:
        """The rows that a column or the data set itself keeps for tests."""
        return self.test_part


class TablePart(Subset):
    """Some rows of a table that are a part of their own.

    Args:
        source: the whole.
        rows: the row numbers.
        note: what part it is.
        test_part: its own test part, or None.
    """

    whole: TableSource

    def __init__(
        self, source: TableSource, rows: NDArray[np.int64], note: str, test_part: Source | None = None
    ) -> None:
        super().__init__(source, rows, note)
        self.whole = source
        self.columns = source.columns
        self.test_part = test_part

    def called(self, name: str) -> TablePart:
        """The same rows by another name.

        Args:
            name: for messages.
        """
        self.whole.called(name)
        return self

    def holdout(self) -> Source | None:
        """Its own test part, not the whole's."""
        return self.test_part
