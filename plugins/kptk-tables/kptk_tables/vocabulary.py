"""`Vocabulary`: the names of a column of categories or labels, with a code each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk_tables.distinct import Distinct


class Vocabulary:
    """Names with a code each, in the order of their first row.

    Example:
        >>> import pyarrow as pa
        >>> names = Vocabulary()
        >>> names.codes(Distinct(pa.array(["b", "?", "a", "b"]), pa.array(["", "?"]))).tolist(), names.names
        ([0, -1, 1, 0], ('b', 'a'))
    """

    def __init__(self) -> None:
        self._names: Any = pa.array([], pa.string())

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of their codes."""
        return tuple(self._names.to_pylist())

    def codes(self, found: Distinct) -> NDArray[np.int32]:
        """The code of each cell, -1 where it is missing; new names get the next ones.

        Args:
            found: cells of a piece.
        """
        texts = found.texts
        fresh = texts.filter(pc.and_not(texts.is_valid(), pc.is_in(texts, value_set=self._names)))
        if len(fresh):
            self._names = pa.concat_arrays([self._names, pc.unique(fresh)])
        codes = pc.fill_null(pc.index_in(texts, value_set=self._names), -1)
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int32)[found.places]
