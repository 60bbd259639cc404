"""`Coded`: the cells of a column of labels or parts in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk_tables.inference import Profile


class Coded:
    """Cells of a whole column as numbers, four or eight bytes each: a table may have more rows than memory holds texts.

    Args:
        profile: what was found out about the column.

    Attributes:
        names: the different values, in alphabetical order; empty where there are too many.
        wrong: the first cell of a column with many values that is no number.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.names: list[str] = sorted(profile.values or ())
        self.wrong = ""
        self._values = pa.array(self.names, pa.string())
        self._codes: list[NDArray[np.int32]] = []
        self._numbers: list[NDArray[np.float64]] = []

    def add(self, cells: Any, good: NDArray[np.bool_]) -> None:
        """Add some rows.

        Args:
            cells: an Arrow array.
            good: which of them are rows of the table.
        """
        texts = self.profile.texts(cells)
        if self.profile.values is not None:
            codes = pc.fill_null(pc.index_in(texts, value_set=self._values), -1)
            self._codes.append(np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int32)[good])
        else:
            numbers, bad = self.profile.floats(texts)
            if not self.wrong and bad[good].any():
                self.wrong = str(texts[int(np.flatnonzero(bad & good)[0])])
            self._numbers.append(numbers[good])

    @property
    def few(self) -> bool:
        """Whether the column has few enough different values to have codes."""
        return self.profile.values is not None

    @property
    def codes(self) -> NDArray[np.int32]:
        """Place of each cell among `names`, -1 where it is missing."""
        return np.concatenate(self._codes)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Each cell as a number, of a column with many; NaN where it is missing or no number."""
        return np.concatenate(self._numbers)
