"""`QuickNumbers`: cells as numbers a block at a time, where every one of them is a number or missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

PADDED = r"^[+-]?0\d+$"
"""Codes such as 01234, which are no numbers."""
PLAIN, MISSING, MIXED = range(3)
"""What a block of texts was found to hold: numbers only, numbers and missing cells, anything."""


class QuickNumbers:
    """Converts what is clean and leaves the rest: a block with one other cell is then looked at cell by cell.

    What Arrow takes for a number is what `kptk_tables.inference.NUMBERS` describes, and infinities, which are left too.

    Args:
        missing: texts that mean that nothing is known.
        decimal: the decimal mark.

    Example:
        >>> import pyarrow as pa
        >>> quick = QuickNumbers(pa.array(["", "?"]), ".")
        >>> quick(pa.array(["1.5", "?"])), quick(pa.array(["1.5", "one"])) is None
        (array([1.5, nan]), True)
    """

    def __init__(self, missing: Any, decimal: str) -> None:
        self.missing = missing
        self.decimal = decimal
        numeric = any(_cast(missing[place : place + 1]) is not None for place in range(len(missing)))
        self._least = self._expected = MISSING if numeric else PLAIN
        self._typed = not numeric

    def __call__(self, cells: Any) -> NDArray[np.float64] | None:
        """Cells as numbers, NaN where they are missing; None if one is anything else.

        Args:
            cells: an Arrow array of texts or numbers.
        """
        if pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type):
            if not self._typed:
                return None
            typed = np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
            return None if np.isinf(typed).any() else typed
        if not pa.types.is_string(cells.type) or self._expected == MIXED:
            return None
        found = self._expected
        if found == PLAIN:
            plain = _cast(cells)
            if plain is not None:
                return plain
            found = MISSING
        texts = pc.utf8_trim_whitespace(cells)
        texts = pc.if_else(pc.is_in(texts, value_set=self.missing), pa.scalar(None, pa.string()), texts)
        numbers = _cast(pc.replace_substring(texts, ",", ".") if self.decimal == "," else texts)
        self._expected = MIXED if numbers is None else found
        return numbers

    def expect(self, share: float) -> None:
        """Say how many cells of a block were numbers, after it was looked at cell by cell.

        Args:
            share: of the known cells.
        """
        self._expected = MISSING if share > 0.5 else MIXED


def _cast(texts: Any) -> NDArray[np.float64] | None:
    """Texts as finite numbers, NaN for null; None if one is no finite number. Arrow reads a text ``nan``, too."""
    try:
        values = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    return numbers if np.count_nonzero(np.isfinite(numbers)) == len(texts) - texts.null_count else None


def any_padded(cells: Any) -> bool:
    """Whether numbers are written like codes, with zeros before them.

    Args:
        cells: an Arrow array of texts that are numbers, or null.
    """
    offsets, content = cells.buffers()[1:]
    if content is None or not len(cells):
        return False
    places = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    letters = np.frombuffer(content, np.uint8)
    begin = np.minimum(places[:-1], len(letters) - 1)
    first = letters[begin]
    signed = (first == ord("+")) | (first == ord("-"))
    zero = np.flatnonzero((letters[np.minimum(begin + signed, len(letters) - 1)] == ord("0")) & (np.diff(places) > 1))
    second = letters[np.minimum(begin[zero] + signed[zero] + 1, len(letters) - 1)]
    zero = zero[(second >= ord("0")) & (second <= ord("9"))]
    return bool(len(zero)) and bool(pc.any(pc.match_substring_regex(cells.take(pa.array(zero)), PADDED)).as_py())
