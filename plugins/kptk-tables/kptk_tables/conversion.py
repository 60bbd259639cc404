"""`Converter`: from the cells of a file to the fields of a `RowStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER
from kptk_tables.distinct import Distinct, Looked
from kptk_tables.inference import DATES, TRUE, Profile, is_text
from kptk_tables.vocabulary import Vocabulary

if TYPE_CHECKING:
    from kptk.tablerows import BadRows
    from kptk_tables.row_store import RowStore

NOWHEN = np.iinfo(np.int64).min
"""As a date in microseconds: missing. NumPy's NaT has the same bits."""
FIELDS: dict[str, Any] = {NUMBER: "f8", FLAG: "f4", CATEGORY: "i4", DATE: "i8"}
"""How a cell of each kind is kept; a text is kept as its place and length in another file."""
TEXT_FIELD = [("begin", "i8"), ("length", "i4")]


class Unexpected(Exception):
    """A cell is not of the kind that was guessed."""


class Converter:
    """Converts one column, piece by piece.

    Args:
        profile: what was found out about the column.
        kind: what its cells mean.
    """

    def __init__(self, profile: Profile, kind: str) -> None:
        self.profile = profile
        self.kind = kind
        self.dtype: Any = np.dtype(FIELDS.get(kind, TEXT_FIELD))
        self.categories = Vocabulary()

    def __call__(
        self,
        looked: Looked,
        rows: NDArray[np.int64],
        store: RowStore,
        problems: BadRows | None,
        bad: NDArray[np.bool_],
    ) -> NDArray[np.generic]:
        """Convert some cells.

        Args:
            looked: the cells.
            rows: their row numbers.
            store: keeps texts.
            problems: gets cells that do not fit; None if the kind is guessed.
            bad: rows with such cells, changed in place.

        Returns:
            One field a row.

        Raises:
            Unexpected: if a cell does not fit and the kind is guessed.
        """
        if self.kind == NUMBER:
            numbers, wrong = self.profile.numbers_of(looked)
            self._report(wrong, looked, rows, problems, bad, "a finite number")
            return numbers
        if self.kind == FLAG:
            return _flags(looked.found)
        if self.kind == CATEGORY:
            return self.categories.codes(looked.found)
        if self.kind == DATE:
            dates, wrong = _microseconds(looked)
            self._report(wrong, looked, rows, problems, bad, "a date like 2026-11-26")
            return dates
        return self._texts(looked.found, store)

    def _report(
        self,
        wrong: NDArray[np.bool_] | None,
        looked: Looked,
        rows: NDArray[np.int64],
        problems: BadRows | None,
        bad: NDArray[np.bool_],
        what: str,
    ) -> None:
        if wrong is None or not wrong.any():
            return
        if problems is None:
            raise Unexpected
        for index in np.flatnonzero(wrong).tolist():
            cell = looked.found.text(index)
            other = "category" if self.kind == NUMBER else "text"
            problems(
                int(rows[index]),
                f"column '{self.profile.name}' must be {what}. Received: '{cell}'",
                f"Say that it means nothing known (-o data.missing={cell}) or take the column for something else "
                f"(-o data.types={self.profile.name}:{other}).",
            )
        bad |= wrong

    def _texts(self, found: Distinct, store: RowStore) -> NDArray[np.void]:
        """Keep each different text of the piece once."""
        encoded = [text.encode() for text in pc.fill_null(found.texts, "").to_pylist()]
        different = np.empty(len(encoded), self.dtype)
        lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        different["begin"] = store.append_text(b"".join(encoded)) + np.cumsum(lengths) - lengths
        different["length"] = np.where(found.known, lengths, -1)
        return different[found.places]


def _flags(found: Distinct) -> NDArray[np.float32]:
    true = pc.is_in(pc.utf8_lower(found.texts), value_set=pa.array(TRUE))
    flags = pc.if_else(found.texts.is_valid(), true.cast(pa.float32()), pa.scalar(float("nan"), pa.float32()))
    return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=np.float32)[found.places]


def _microseconds(looked: Looked) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Dates as microseconds since 1970 (UTC where a zone is given), and which are no dates."""
    cells, found = looked.cells, looked.found
    if not is_text(cells.type):
        kind = pa.timestamp("us", getattr(cells.type, "tz", None))
        numbers = pc.fill_null(cells.cast(kind, safe=False).cast(pa.int64()), NOWHEN)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.int64), None
    values = np.full(len(found.texts), NOWHEN, dtype=np.int64)
    wrong = np.zeros(len(found.texts), dtype=bool)
    shaped = pc.fill_null(pc.match_substring_regex(found.texts, DATES), False).to_pylist()
    for index in np.flatnonzero(found.known):
        try:
            if not shaped[index]:
                raise ValueError
            values[index] = _parsed(found.texts[int(index)].as_py())
        except ValueError:
            wrong[index] = True
    return values[found.places], wrong[found.places]


def _parsed(text: str) -> int:
    from datetime import UTC, datetime

    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return int(np.datetime64(when, "us").astype(np.int64))
