"""The rows of a table as dictionaries, one at a time: for readers that follow a path in each row, or take one column."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kptk.data import BadInput
from kptk.errors import InputError

PACKED: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
"""How a compressed file is opened, by its last suffix."""
FORMS = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Tables that are text."""
SUFFIXES = (*(form + packed for form in FORMS for packed in ("", *PACKED)), ".parquet")
"""Every file that is read."""
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
LONGEST_CELL = 64_000_000
MOST_BAD = 100_000
"""Rows left out at most: a file with more is not a table with a few bad rows."""

Row = dict[str, Any]
Bad = Callable[[int, str], None]


class BadRows:
    """Refuses the first bad row of a table, or collects them.

    Args:
        path: the file, for messages.
        on_bad_input: ``"error"`` or ``"skip"``.
    """

    def __init__(self, path: str, on_bad_input: str) -> None:
        self.path = path
        self._skip = on_bad_input == "skip"
        self._rows: dict[int, str] = {}

    def __call__(self, row: int, reason: str, hint: str = "") -> None:
        """Report a row; a second report of the same row says nothing new.

        Args:
            row: its number, the first row below the header being 1.
            reason: what is wrong, in a few words.
            hint: how to mend it, beside leaving it out.

        Raises:
            InputError: in the mode ``"error"``, or if there are far too many.
        """
        if not self._skip:
            other = f"{hint} Or l" if hint else "Mend the row, or l"
            raise InputError(
                f"{self.path}, row {row:,}: {reason}. {other}eave such rows out and list them: --on-bad-input skip"
            )
        self._rows.setdefault(row, reason)
        if len(self._rows) > MOST_BAD:
            first = "; ".join(f"row {row:,}: {self._rows[row]}" for row in sorted(self._rows)[:3])
            raise InputError(f"{self.path}: more than {MOST_BAD:,} rows are bad; the first ones: {first}.")

    @property
    def listed(self) -> tuple[BadInput, ...]:
        """The bad rows as a source lists them, in their order."""
        return tuple(BadInput(f"{self.path}, row {row:,}", self._rows[row]) for row in sorted(self._rows))


def form(path: Path) -> str:
    """The form of a table, from the suffix before that of any compression.

    Args:
        path: the file.

    Example:
        >>> form(Path("adult.csv.xz"))
        '.csv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return suffixes[-1] if suffixes else ""


def table_rows(path: Path, bad: Bad, *, delimiter: str = "auto", encoding: str = "utf-8") -> Iterator[tuple[int, Row]]:
    """Read a table from its beginning, row by row; memory does not grow with its length.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also ``.gz``, ``.xz``, ``.bz2``) or ``.parquet`` file.
        bad: told of each row that cannot be read, with its number; may raise.
        delimiter: between the cells of a CSV file, one character or its name; ``"auto"`` looks at the header.
        encoding: of a text file.

    Yields:
        Row numbers from 1, and cells by column name: texts in CSV, values in the others, None where there is nothing.

    Raises:
        InputError: if it is no table.
    """
    kind = form(path)
    try:
        if kind == ".parquet":
            yield from _parquet_rows(path)
        elif kind in (".jsonl", ".ndjson"):
            yield from _json_rows(path, bad, encoding)
        else:
            yield from _csv_rows(path, bad, delimiter, encoding)
    except LookupError:
        raise InputError(f"no encoding called '{encoding}'. Usual ones: utf-8, latin-1, cp1252, utf-16.") from None
    except UnicodeError as error:
        raise InputError(
            f"{path} is not {encoding} text ({error}). Say its encoding: -o data.encoding=latin-1"
        ) from None
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged or cut off ({error}). Copy it again.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def column_named(path: str, names: list[str], wanted: str, option: str) -> str:
    """Check that a table has a column.

    Args:
        path: the file, for messages.
        names: its columns.
        wanted: the column.
        option: the option that names it.

    Raises:
        InputError: if there is none of that name.
    """
    from kptk.errors import did_you_mean

    if wanted in names:
        return wanted
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    raise InputError(
        f"{path} has no column '{wanted}' (-o data.{option}=). Its columns: {listed}. {did_you_mean(wanted, names)}".strip()
    )


def header_cells(path: Path, line: str, delimiter: str) -> tuple[list[str], str]:
    """The names of the columns in the first line of a CSV file, and the character between them.

    Args:
        path: the file.
        line: its first line.
        delimiter: one character, its name, or ``"auto"`` for that of `DELIMITERS` which the line has most of.

    Raises:
        InputError: if a name stands twice.
    """
    mark = DELIMITERS.get(delimiter, delimiter)
    if delimiter == "auto":
        usual = "\t" if form(path) == ".tsv" else ","
        mark = max((usual, *DELIMITERS.values()), key=line.count)
        mark = mark if line.count(mark) else usual
    names = [
        name.strip() or f"column_{place}" for place, name in enumerate(next(csv.reader([line], delimiter=mark)), 1)
    ]
    refuse_twice(path, names)
    return names, mark


def _opened(path: Path) -> BinaryIO:
    file: BinaryIO = PACKED.get(path.suffix.lower(), open)(path, "rb")
    return file


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    """The file as text; a byte that is no UTF-8 comes as a lone surrogate, so that its row can be named."""
    import codecs

    plain = codecs.lookup(encoding).name == "utf-8"
    return io.TextIOWrapper(
        _opened(path), "utf-8-sig" if plain else encoding, newline="", errors="surrogateescape" if plain else "strict"
    )


def _stray_byte(text: str) -> str:
    """The first byte that was no UTF-8, in words; empty if there is none."""
    if text.isascii():
        return ""
    stray = next((letter for letter in text if 0xDC80 <= ord(letter) <= 0xDCFF), "")
    return f"holds the byte 0x{ord(stray) - 0xDC00:02x}, which is no UTF-8 (-o data.encoding=latin-1?)" if stray else ""


def _csv_rows(path: Path, bad: Bad, delimiter: str, encoding: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_CELL)
    with _text(path, encoding) as lines:
        first = lines.readline()
        if not first.strip():
            raise InputError(f"{path} has no header row.")
        if "\0" in first:
            raise InputError(f"{path} is not a text file: its first line holds zero bytes.")
        names, mark = header_cells(path, first, delimiter)
        reader = csv.reader(lines, delimiter=mark, strict=True)
        number = 0
        try:
            for cells in reader:
                if not cells:
                    continue
                number += 1
                if len(cells) != len(names):
                    bad(
                        number,
                        f"{len(cells)} cells where the header has {len(names)} (delimiter {mark!r}; is a quote missing?)",
                    )
                elif stray := next(filter(None, map(_stray_byte, cells)), ""):
                    bad(number, stray)
                else:
                    yield number, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise InputError(
                f"{path} is not a readable table, near row {number + 1:,}: {error}. Is a quote missing?"
            ) from None


def _json_rows(path: Path, bad: Bad, encoding: str) -> Iterator[tuple[int, Row]]:
    with _text(path, encoding) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if stray := _stray_byte(line):
                bad(number, stray)
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                bad(number, f"not a line of JSON ({error})")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                bad(number, f"must be a JSON object. Received: {line.strip()[:40]}")


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}") from None
    refuse_twice(path, list(file.schema_arrow.names))
    number = 0
    for batch in file.iter_batches(batch_size=4096):
        for row in batch.to_pylist():
            number += 1
            yield number, row


def refuse_twice(path: Path, names: list[str]) -> None:
    """Refuse a table with two columns of one name.

    Args:
        path: the file, for messages.
        names: of its columns.

    Raises:
        InputError: if a name stands twice.
    """
    if len(set(names)) == len(names):
        return
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(
                f"{path}: columns {names.index(name) + 1} and {place + 1} are both called '{name}'. Rename one of them."
            )
