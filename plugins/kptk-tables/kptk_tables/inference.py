"""What a column of texts means: numbers, flags, dates, categories or free text, from all its cells."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, TEXT
from kptk.errors import InputError

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?")
"""Cells that mean that nothing is known, unless the user says others."""
FLAGS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
TRUE = ("true", "yes", "t", "y", "1", "1.0")
NUMBERS = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
INFINITE = r"^[+-]?(?i:inf|infinity)$"
DATES = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
OTHER_DATES = r"^\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})( \d{1,2}:\d{2}(:\d{2})?)?$"
"""Dates whose day and month nobody can tell apart."""
DECORATED = r"^[$€£¥]? ?[+-]?(\d{1,3}([, ']\d{3})+(\.\d+)?|\d+(\.\d+)?|\d+,\d+) ?[%$€£¥]?$"
MOST_VALUES = 10_000
"""Different values that are counted; a column with more has no categories."""
MOSTLY = 0.9
"""A column is what at least this share of its cells is; the others are bad cells."""


class Profile:
    """What is known of one column after reading its cells piece by piece.

    Args:
        name: of the column.
        missing: cells that mean that nothing is known.
        decimal: the decimal mark of its numbers.
    """

    def __init__(self, name: str, missing: tuple[str, ...] = MISSING, decimal: str = ".") -> None:
        self.name = name
        self.missing = pa.array(missing, pa.string())
        self.decimal = decimal
        self.type: Any = pa.null()
        self.rows = 0
        self.known = 0
        self.numbers = self.dates = self.padded = self.decorated = self.other_dates = 0
        self.characters = 0
        self.example: tuple[int, str] | None = None
        self.first = (0, "")
        self.values: Counter[str] | None = Counter()

    def update(self, cells: Any, rows: NDArray[np.int64]) -> None:
        """Look at some more cells.

        Args:
            cells: an Arrow array.
            rows: their row numbers.
        """
        self.type = cells.type
        self.rows += len(cells)
        if pa.types.is_null(cells.type):
            return
        texts = self.texts(cells)
        self.known += len(texts) - texts.null_count
        counted = texts.drop_null().value_counts()
        if not self.first[0] and len(counted):
            place = pc.index(texts.is_valid(), True).as_py()
            self.first = int(rows[place]), texts[place].as_py()
        values, counts = counted.field("values"), np.asarray(counted.field("counts"))

        def count(pattern: str) -> int:
            hits = np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=bool)
            return int(counts[hits].sum())

        if not is_text(cells.type):
            self.numbers += (
                0 if pa.types.is_temporal(cells.type) or pa.types.is_boolean(cells.type) else int(counts.sum())
            )
        elif len(values):
            dotted = self._dotted(values)
            numbers = pc.or_(pc.match_substring_regex(dotted, NUMBERS), pc.match_substring_regex(dotted, INFINITE))
            hits = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=bool)
            self.numbers += int(counts[hits].sum())
            self.characters += int((np.asarray(pc.utf8_length(values)) * counts).sum())
            if hits.any():
                self.padded += count(r"^[+-]?0\d+$")
            if not hits.all():
                self.dates += count(DATES)
                self.other_dates += count(OTHER_DATES)
                written = pc.and_(pc.match_substring_regex(values, DECORATED), pc.invert(numbers))
                self.decorated += int(counts[np.asarray(written.to_numpy(zero_copy_only=False), dtype=bool)].sum())
                if self.example is None and pc.any(written).as_py():
                    first = values.filter(written)[0].as_py()
                    self.example = (int(rows[pc.index(texts, first).as_py()]), first)
        if self.values is not None:
            self.values.update(dict(zip(values.to_pylist(), counts.tolist(), strict=True)))
            if len(self.values) > MOST_VALUES:
                self.values = None

    def texts(self, cells: Any) -> Any:
        """Cells as trimmed texts, with null for what is missing.

        Args:
            cells: an Arrow array.
        """
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        texts = cells if pa.types.is_string(cells.type) else cells.cast(pa.string())
        texts = pc.utf8_trim_whitespace(texts)
        return pc.if_else(pc.is_in(texts, value_set=self.missing), pa.scalar(None, pa.string()), texts)

    def _dotted(self, texts: Any) -> Any:
        return pc.replace_substring(texts, ",", ".") if self.decimal == "," else texts

    def floats(self, texts: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Texts as numbers.

        Args:
            texts: as `texts` gives them.

        Returns:
            The numbers, NaN where they are missing or bad, and which are bad: no number, or infinite.
        """
        dotted = self._dotted(texts)
        good = pc.fill_null(pc.match_substring_regex(dotted, NUMBERS), False)
        numbers = pc.if_else(good, dotted, pa.scalar(None, pa.string()))
        # Arrow refuses a leading plus sign.
        values = pc.replace_substring_regex(numbers, r"^\+", "").cast(pa.float64())
        floats = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        known = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        # A number beyond 1e308 is infinite too.
        bad = known & (~np.asarray(good.to_numpy(zero_copy_only=False), dtype=bool) | np.isinf(floats))
        return np.where(bad, np.nan, floats), bad

    def kind(self) -> tuple[str, str]:
        """What the column means, and why where that is not plain.

        Raises:
            InputError: if its numbers are written as texts.
        """
        if not self.known:
            return TEXT, "every cell is missing"
        if pa.types.is_boolean(self.type):
            return FLAG, ""
        if pa.types.is_temporal(self.type):
            return DATE, ""
        if self.padded:
            return self._named("codes with leading zeros")
        if self.numbers >= MOSTLY * self.known:
            binary = self.values is not None and {_plain(value) for value in self.values} == {"0", "1"}
            return (FLAG, "0 and 1") if binary and self.numbers == self.known else (NUMBER, "")
        if self.dates >= MOSTLY * self.known:
            return DATE, ""
        if self.example and self.numbers + self.decorated >= MOSTLY * self.known:
            row, text = self.example
            comma = " or, if that is a decimal comma, -o data.decimal=comma" if "," in text else ""
            raise InputError(
                f"row {row:,}, column '{self.name}': '{text}' is a number written as text. Write it plainly (1234.5){comma}, "
                f"or take it for a name: -o data.types={self.name}:category"
            )
        if self.other_dates >= MOSTLY * self.known:
            raise InputError(
                f"row {self.first[0]:,}, column '{self.name}': '{self.first[1]}' is a date of which day and month cannot be told "
                f"apart. Write it as 2026-11-30, or take it for a name: -o data.types={self.name}:category"
            )
        if self.values is not None and any({value.lower() for value in self.values} == pair for pair in FLAGS):
            return FLAG, " and ".join(sorted(self.values))
        return self._named("")

    def _named(self, note: str) -> tuple[str, str]:
        """A category if names come again, a text if most cells differ or are long."""
        if self.values is None:
            return TEXT, f"more than {MOST_VALUES:,} different values"
        if len(self.values) > max(50, self.known / 2):
            return TEXT, f"{len(self.values):,} different values in {self.known:,} cells"
        if self.characters > 60 * self.known:
            return TEXT, f"{self.characters / self.known:.0f} characters a cell"
        return CATEGORY, note


def is_text(kind: Any) -> bool:
    """Whether an Arrow type holds texts.

    Args:
        kind: the type.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(text: str) -> str:
    return text.removesuffix(".0")
