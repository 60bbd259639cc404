"""`Converter`: from the cells of a file to the fields of a `RowStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER
from kptk_tables.inference import DATES, TRUE, Profile, is_text

if TYPE_CHECKING:
    from kptk_tables.chunks import Chunk
    from kptk_tables.problems import Problems
    from kptk_tables.row_store import RowStore

NOWHEN = np.iinfo(np.int64).min
"""As a date in microseconds: missing. NumPy's NaT has the same bits."""
FIELDS: dict[str, Any] = {NUMBER: "f8", FLAG: "f4", CATEGORY: "i4", DATE: "i8"}
"""How a cell of each kind is kept; a text is kept as its place and length in another file."""
TEXT_FIELD = [("begin", "i8"), ("length", "i4")]


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
        self.categories: tuple[str, ...] = ()
        if kind == CATEGORY:
            assert profile.values is not None
            self.categories = tuple(sorted(profile.values))
        self._values = pa.array(self.categories, pa.string())

    def __call__(
        self, piece: Chunk, store: RowStore, problems: Problems, bad: NDArray[np.bool_]
    ) -> NDArray[np.generic]:
        """Convert a piece.

        Args:
            piece: some rows of the file.
            store: keeps texts.
            problems: gets cells that do not fit.
            bad: rows with such cells, changed in place.

        Returns:
            One field a row.
        """
        cells = piece.columns[self.profile.name]
        texts = self.profile.texts(cells)
        if self.kind == NUMBER:
            return self._checked(*self.profile.floats(texts), texts, piece, problems, bad, "a finite number")
        if self.kind == FLAG:
            return self._flags(texts)
        if self.kind == CATEGORY:
            codes = pc.fill_null(pc.index_in(texts, value_set=self._values), -1)
            return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int32)
        if self.kind == DATE:
            return self._checked(*_microseconds(cells, texts), texts, piece, problems, bad, "a date like 2026-11-26")
        return self._texts(texts, store)

    def _checked(
        self,
        values: NDArray[np.generic],
        wrong: NDArray[np.bool_],
        texts: Any,
        piece: Chunk,
        problems: Problems,
        bad: NDArray[np.bool_],
        what: str,
    ) -> NDArray[np.generic]:
        for index in np.flatnonzero(wrong):
            cell = texts[int(index)].as_py()
            other = "category" if self.kind == NUMBER else "text"
            problems.add(
                int(piece.rows[index]),
                f"column '{self.profile.name}' must be {what}. Received: '{cell}'",
                f"Say that it means nothing known (-o data.missing={cell}) or take the column for something else "
                f"(-o data.types={self.profile.name}:{other}).",
            )
        bad |= wrong
        return values

    @staticmethod
    def _flags(texts: Any) -> NDArray[np.float32]:
        lower = pc.utf8_lower(texts)
        true = pc.is_in(lower, value_set=pa.array(TRUE))
        flags = pc.if_else(texts.is_valid(), true.cast(pa.float32()), pa.scalar(float("nan"), pa.float32()))
        return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=np.float32)

    def _texts(self, texts: Any, store: RowStore) -> NDArray[np.void]:
        encoded = [text.encode() for text in pc.fill_null(texts, "").to_pylist()]
        fields = np.empty(len(encoded), self.dtype)
        lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        fields["begin"] = store.append_text(b"".join(encoded)) + np.cumsum(lengths) - lengths
        known = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        fields["length"] = np.where(known, lengths, -1)
        return fields


def _microseconds(cells: Any, texts: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Dates as microseconds since 1970 (UTC where a zone is given), and which are no dates."""
    known = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    if not is_text(cells.type):
        kind = pa.timestamp("us", getattr(cells.type, "tz", None))
        numbers = pc.fill_null(cells.cast(kind, safe=False).cast(pa.int64()), NOWHEN)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.int64), np.zeros(len(known), dtype=bool)
    values = np.full(len(known), NOWHEN, dtype=np.int64)
    wrong = np.zeros(len(known), dtype=bool)
    shaped = np.asarray(pc.fill_null(pc.match_substring_regex(texts, DATES), False).to_numpy(zero_copy_only=False))
    for index in np.flatnonzero(known):
        try:
            if not shaped[index]:
                raise ValueError
            values[index] = _parsed(texts[int(index)].as_py())
        except ValueError:
            wrong[index] = True
    return values, wrong


def _parsed(text: str) -> int:
    from datetime import UTC, datetime

    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return int(np.datetime64(when, "us").astype(np.int64))
