"""`Arranged`: the columns of a table in the order in which a model learned them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source


class Arranged(Source):
    """Some columns of another table.

    Args:
        source: the table.
        places: which columns, in the order wanted.
    """

    inputs = "table"

    def __init__(self, source: Source, places: Sequence[int]) -> None:
        self.row_shape = (len(places),)
        self.labels = source.labels
        self.targets = source.targets
        self.class_names = source.class_names
        self.skipped = source.skipped
        self._source = source
        self._places = list(places)
        if columns := getattr(source, "columns", ()):
            self.columns = tuple(columns[place] for place in places)

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read some rows."""
        return self._source.read(rows)[:, self._places]

    def fingerprint(self) -> str:
        """That of the whole table."""
        return self._source.fingerprint()

    def describe(self) -> str:
        """The whole table in words."""
        return self._source.describe()

    def holdout(self) -> Source | None:
        """The table's test part; whoever prepares it finds the columns in it by name."""
        return self._source.holdout()

    def row_name(self, row: int) -> str:
        """What the table calls it."""
        return self._source.row_name(row)
