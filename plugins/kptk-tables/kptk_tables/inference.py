"""What a column of texts means: numbers, flags, dates, categories or free text, from all its cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, TEXT
from kptk.errors import InputError
from kptk_tables.distinct import Distinct, Looked
from kptk_tables.quick_numbers import PADDED, QuickNumbers, any_padded

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
MOST_FRACTIONS = 1000
"""The same for a column of numbers with fractions in a file that says so."""
FEW = 64
"""Ways to write the two values of a flag, at most."""
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
        self.quick = QuickNumbers(self.missing, decimal)
        self.type: Any = pa.null()
        self.rows = 0
        self.known = 0
        self.numbers = self.dates = self.padded = self.decorated = self.other_dates = 0
        self.characters = 0
        self.example: tuple[int, str] | None = None
        self.first = (0, "")
        self.values: Any = pa.array([], pa.string())

    def look(self, cells: Any) -> Looked:
        """Cells as what they are, without learning from them.

        Args:
            cells: an Arrow array.
        """
        return Looked(cells, self.missing, self.quick(cells))

    def update(self, cells: Any, rows: NDArray[np.int64]) -> Looked:
        """Look at some more cells.

        Args:
            cells: an Arrow array.
            rows: their row numbers.
        """
        self.rows += len(cells)
        looked = self.look(cells)
        if pa.types.is_null(cells.type):
            return looked
        self.type = cells.type
        if looked.numbers is not None:
            self._count_numbers(looked, looked.numbers, rows)
        else:
            self._look(looked.found, rows)
        return looked

    def _count_numbers(self, looked: Looked, numbers: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Add cells that are numbers or missing."""
        known = ~np.isnan(numbers)
        count = int(np.count_nonzero(known))
        self.known += count
        self.numbers += count
        if not count:
            return
        if not self.first[0]:
            place = int(np.argmax(known))
            self.first = int(rows[place]), str(looked.cells[place].as_py()).strip()
        if is_text(self.type):
            self.characters += pc.sum(pc.binary_length(looked.cells)).as_py()
            self.padded = self.padded or any_padded(looked.cells)
        elif self.values is not None and len(pc.unique(looked.cells)) > self._most:
            self.values = None  # before each is written as a text
        if self.values is not None:
            self._collect(looked.found.texts.drop_null())

    def _look(self, found: Distinct, rows: NDArray[np.int64]) -> None:
        """Add cells that are anything."""
        kept = found.known
        counts, values = found.counts[kept], found.texts.filter(pa.array(kept))
        known = int(counts.sum())
        before, self.known = self.numbers, self.known + known
        if not self.first[0] and known:
            place = int(np.argmax(kept[found.places]))
            self.first = int(rows[place]), found.text(place)
        if not is_text(self.type):
            self.numbers += 0 if pa.types.is_temporal(self.type) or pa.types.is_boolean(self.type) else known
        elif known:
            self._match(values, counts, found, rows)
        self.quick.expect((self.numbers - before) / max(known, 1))
        self._collect(values)

    def _match(self, values: Any, counts: NDArray[np.int64], found: Distinct, rows: NDArray[np.int64]) -> None:
        """Look at different texts."""

        def matches(pattern: str) -> NDArray[np.bool_]:
            return np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=bool)

        dotted = self._dotted(values)
        numbers = pc.or_(pc.match_substring_regex(dotted, NUMBERS), pc.match_substring_regex(dotted, INFINITE))
        hits = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=bool)
        self.numbers += int(counts[hits].sum())
        self.characters += int((np.asarray(pc.utf8_length(values)) * counts).sum())
        if hits.any():
            self.padded = self.padded or bool(matches(PADDED).any())
        if not hits.all():
            self.dates += int(counts[matches(DATES)].sum())
            self.other_dates += int(counts[matches(OTHER_DATES)].sum())
            written = matches(DECORATED) & ~hits
            self.decorated += int(counts[written].sum())
            if self.example is None and written.any():
                first = values[int(np.argmax(written))].as_py()
                place = pc.index(found.texts, first).as_py()
                self.example = (int(rows[int(np.argmax(found.places == place))]), first)

    def _collect(self, values: Any) -> None:
        """Add to the different values, until there are too many."""
        if self.values is not None:
            every = pc.unique(pa.concat_arrays([self.values, values]))
            self.values = every if len(every) <= self._most else None

    @property
    def _most(self) -> int:
        """Different values that are kept. Fractions can be categories only where somebody says so, and a matrix has many."""
        return MOST_FRACTIONS if pa.types.is_floating(self.type) else MOST_VALUES

    def _dotted(self, texts: Any) -> Any:
        return pc.replace_substring(texts, ",", ".") if self.decimal == "," else texts

    def floats(self, texts: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Texts as numbers.

        Args:
            texts: trimmed, with null for what is missing.

        Returns:
            The numbers, NaN where they are missing or bad, and which are bad: no number, or infinite.
        """
        dotted = self._dotted(texts)
        good = pc.fill_null(pc.match_substring_regex(dotted, NUMBERS), False)
        numbers = pc.if_else(good, dotted, pa.scalar(None, pa.string()))
        # Arrow once refused a leading plus sign.
        values = pc.replace_substring_regex(numbers, r"^\+", "").cast(pa.float64())
        floats = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        known = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        # A number beyond 1e308 is infinite too.
        bad = known & (~np.asarray(good.to_numpy(zero_copy_only=False), dtype=bool) | np.isinf(floats))
        return np.where(bad, np.nan, floats), bad

    def numbers_of(self, looked: Looked) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Cells as numbers.

        Args:
            looked: some cells.

        Returns:
            The numbers, and which are bad, as `floats` gives them; None if none is.
        """
        if looked.numbers is not None:
            return looked.numbers, None
        values, bad = self.floats(looked.found.texts)
        self.quick.expect(1 - float(bad.mean()))
        return values[looked.found.places], bad[looked.found.places] if bad.any() else None

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
        few = self.values.to_pylist() if self.values is not None and len(self.values) <= FEW else []
        if self.numbers >= MOSTLY * self.known:
            binary = {_plain(value) for value in few} == {"0", "1"}
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
        if any({value.lower() for value in few} == pair for pair in FLAGS):
            return FLAG, " and ".join(sorted(few))
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
