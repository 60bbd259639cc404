"""`Distinct`: the cells of one column of a piece by what differs, so that each text is looked at once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Distinct:
    """The different cells of a piece, in the order of their first row.

    Args:
        cells: an Arrow array.
        missing: texts that mean that nothing is known.

    Attributes:
        texts: the different cells as trimmed texts; null for what is missing. Two may be the same after trimming.
        places: of each cell, the place of its text, shape ``(rows,)``.

    Example:
        >>> import pyarrow as pa
        >>> found = Distinct(pa.array(["a", "?", "a"]), pa.array(["", "?"]))
        >>> found.texts.to_pylist(), found.places.tolist(), found.counts.tolist()
        (['a', None], [0, 1, 0], [2, 1])
    """

    def __init__(self, cells: Any, missing: Any) -> None:
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        elif pa.types.is_null(cells.type):
            cells = cells.cast(pa.string())
        encoded = cells.dictionary_encode(null_encoding="encode")
        texts = encoded.dictionary
        texts = pc.utf8_trim_whitespace(texts if pa.types.is_string(texts.type) else texts.cast(pa.string()))
        self.texts = pc.if_else(pc.is_in(texts, value_set=missing), pa.scalar(None, pa.string()), texts)
        self.places: NDArray[np.int32] = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int32)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each text stands there."""
        return np.bincount(self.places, minlength=len(self.texts))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which texts are not missing."""
        return np.asarray(self.texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)

    def text(self, row: int) -> str:
        """The text of a cell.

        Args:
            row: its place in the piece.
        """
        return str(self.texts[int(self.places[row])].as_py())


class Looked:
    """Some cells of a column, as numbers if that is what they are, else by what differs.

    Args:
        cells: an Arrow array.
        missing: texts that mean that nothing is known.
        numbers: the cells as numbers with NaN for missing ones; None if one is anything else.
    """

    def __init__(self, cells: Any, missing: Any, numbers: NDArray[np.float64] | None) -> None:
        self.cells = cells
        self.numbers = numbers
        self._missing = missing

    @cached_property
    def found(self) -> Distinct:
        """The different cells; found out when it is asked for."""
        return Distinct(self.cells, self._missing)
