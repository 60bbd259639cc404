"""A table as a stream of pieces, from CSV, TSV, JSON Lines and Parquet; no piece is larger than a few megabytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray
from pyarrow import parquet

from kptk.errors import InputError
from kptk.tablerows import DELIMITERS, BadRows, form, header_cells, refuse_twice, table_rows
from kptk_tables.opening import opened

BLOCK = 1 << 21
"""Bytes of text read at a time."""
ROWS = 1 << 14
"""Rows read at a time where rows are counted."""


BYTES = ("binary", "large_binary", "binary_view", "string_view")
"""Arrow's types whose cells become texts of the usual type."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table, in the file's order.

    Args:
        rows: number of each row, the first below the header being 1.
        columns: cells by column name, one Arrow array each.
    """

    rows: NDArray[np.int64]
    columns: dict[str, Any]


def chunks(path: Path, *, delimiter: str, encoding: str, problems: BadRows) -> Iterator[Chunk]:
    """Read a table from its beginning.

    Args:
        path: the file.
        delimiter: between the cells of a CSV file, one character or its name; ``"auto"`` looks at the header.
        encoding: of a text file, such as ``"utf-8"``.
        problems: gets rows that cannot be read.

    Yields:
        Pieces with the same columns; cells of text files are texts.

    Raises:
        InputError: if it is no table.
    """
    kind = form(path)
    if kind == ".parquet":
        yield from _parquet(path, problems)
    elif kind in (".jsonl", ".ndjson"):
        yield from _json_lines(path, encoding, problems)
    else:
        yield from _csv(path, delimiter, encoding, problems)


def _csv(path: Path, delimiter: str, encoding: str, problems: BadRows) -> Iterator[Chunk]:
    names, mark = header(path, delimiter, encoding)
    ragged: list[int] = []
    refused: list[InputError] = []

    def on_ragged(row: Any) -> str:
        number = row.number - 1  # Arrow counts the header as row 1
        cells = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        try:
            problems(
                number, f"{cells} ({_short(row.text)})", "Mend it, or say another delimiter (-o data.delimiter=tab)."
            )
        except InputError as error:  # Arrow cannot pass an exception on
            refused.append(error)
            return "error"
        ragged.append(number)
        return "skip"

    # Bytes, not texts: a cell in another encoding is then a bad cell and not the end of the file.
    raw = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    read = arrow_csv.ReadOptions(
        block_size=BLOCK, use_threads=False, column_names=names, skip_rows=1, encoding="utf8" if raw else encoding
    )
    parse = arrow_csv.ParseOptions(delimiter=mark, newlines_in_values=True, invalid_row_handler=on_ragged)
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.binary() for name in names}, strings_can_be_null=False, check_utf8=False
    )
    with opened(path) as file:
        try:
            reader = arrow_csv.open_csv(file, read_options=read, parse_options=parse, convert_options=convert)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                raise InputError(f"{path} has a header and no rows below it.") from None
            raise refused[0] if refused else _unreadable(path, error, encoding) from None
        start = 0
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                raise refused[0] if refused else _unreadable(path, error, encoding) from None
            rows = numbered(start, batch.num_rows, ragged)
            start += batch.num_rows
            yield decoded(Chunk(rows, dict(zip(names, batch.columns, strict=True))), problems)


def numbered(start: int, count: int, ragged: list[int]) -> NDArray[np.int64]:
    """The row numbers of rows that were kept, where some before or between them were left out.

    Args:
        start: how many rows were kept before.
        count: how many rows there are.
        ragged: numbers of the rows left out, in order.

    Example:
        >>> numbered(1, 3, [2, 4])
        array([3, 5, 6])
    """
    rows = np.arange(start + 1, start + count + 1, dtype=np.int64)
    for number in ragged:
        rows[rows >= number] += 1
    return rows


def decoded(chunk: Chunk, problems: BadRows) -> Chunk:
    """Bytes to texts; a row with a cell that is no UTF-8 is left out or refused.

    Args:
        chunk: some rows.
        problems: gets such rows.
    """
    columns: dict[str, Any] = {}
    bad: set[int] = set()
    for name, cells in chunk.columns.items():
        try:
            columns[name] = cells.cast(pa.string()) if str(cells.type) in BYTES else cells
        except pa.ArrowInvalid:
            texts: list[str] = []
            for index, cell in enumerate(cells.to_pylist()):
                try:
                    texts.append(cell.decode("utf-8"))
                except UnicodeDecodeError as error:
                    reason = f"column '{name}' holds the byte 0x{cell[error.start]:02x}, which is no UTF-8"
                    hint = "The file mixes encodings or is in another one: -o data.encoding=latin-1."
                    problems(int(chunk.rows[index]), reason, hint)
                    bad.add(index)
                    texts.append("")
            columns[name] = pa.array(texts, pa.string())
    if not bad:
        return Chunk(chunk.rows, columns)
    kept = np.setdiff1d(np.arange(len(chunk.rows)), np.fromiter(bad, dtype=np.int64))
    return Chunk(chunk.rows[kept], {name: cells.take(pa.array(kept)) for name, cells in columns.items()})


def header(path: Path, delimiter: str, encoding: str) -> tuple[list[str], str]:
    """Read the names of the columns of a CSV file.

    Args:
        path: the file.
        delimiter: one character, its name, or ``"auto"``.
        encoding: of the file.

    Returns:
        The names, and the delimiter.

    Raises:
        InputError: if a name stands twice, or there is a single column that looks like several.
    """
    with opened(path) as file:
        try:
            line = file.readline(1 << 20).decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise _unreadable(path, error, encoding) from None
    if not line.strip():
        raise InputError(f"{path} begins with an empty line. A table begins with the names of its columns.")
    if "\x00" in line:
        raise InputError(f"{path} is not a text file: its first line holds zero bytes.")
    names, mark = header_cells(path, line, delimiter)
    other = max((d for d in DELIMITERS.values() if d != mark), key=line.count)
    if len(names) == 1 and line.count(other):
        raise InputError(
            f"{path} has a single column with the delimiter {mark!r}, and its header holds {other!r}: {_short(line)}. "
            f"Say another delimiter: -o data.delimiter={next(k for k, v in DELIMITERS.items() if v == other)}"
        )
    return names, mark


def _json_lines(path: Path, encoding: str, problems: BadRows) -> Iterator[Chunk]:
    names: list[str] = []
    rows: list[int] = []
    cells: list[list[str | None]] = []
    for number, item in table_rows(path, problems, encoding=encoding):
        if not names:
            names = [str(name) for name in item]
            cells = [[] for _ in names]
        if unknown := [key for key in item if key not in names]:
            problems(number, f"has the key '{unknown[0]}', which the first row does not have")
            continue
        nested = [key for key, value in item.items() if isinstance(value, (dict, list))]
        if nested:
            raise InputError(
                f"{path}, row {number:,}: '{nested[0]}' holds a list or an object. A table has one value a cell."
            )
        rows.append(number)
        for name, column in zip(names, cells, strict=True):
            column.append(_json_cell(item.get(name)))
        if len(rows) == ROWS:
            yield _texts(names, rows, cells)
            rows, cells = [], [[] for _ in names]
    if not names:
        raise InputError(f"{path} has no rows.")
    if rows:
        yield _texts(names, rows, cells)


def _texts(names: list[str], rows: list[int], cells: list[list[str | None]]) -> Chunk:
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(names, cells, strict=True)}
    return Chunk(np.array(rows, dtype=np.int64), arrays)


def _json_cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _parquet(path: Path, problems: BadRows) -> Iterator[Chunk]:
    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}") from None
    names = list(file.schema_arrow.names)
    refuse_twice(path, names)
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type):
            raise InputError(
                f"{path}: column '{field.name}' holds lists or objects ({field.type}). A table has one value a cell."
            )
        if pa.types.is_duration(field.type) or pa.types.is_time(field.type):
            raise InputError(
                f"{path}: column '{field.name}' holds times without a day ({field.type}). Write them as numbers, such as seconds."
            )
    start = 0
    for batch in file.iter_batches(batch_size=ROWS):
        rows = np.arange(start + 1, start + batch.num_rows + 1, dtype=np.int64)
        start += batch.num_rows
        yield decoded(Chunk(rows, dict(zip(names, batch.columns, strict=True))), problems)


def _unreadable(path: Path, error: Exception, encoding: str) -> InputError:
    if isinstance(error, LookupError) and not isinstance(error, UnicodeError):
        return InputError(f"no encoding called '{encoding}'. Usual ones: utf-8, latin-1, cp1252, utf-16.")
    first = str(error).splitlines()[0]
    if isinstance(error, UnicodeError) or "UTF" in first:
        return InputError(f"{path} is not {encoding} text ({first}). Say its encoding: -o data.encoding=latin-1")
    return InputError(f"{path} cannot be read as a table: {first}")


def _short(text: Any) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= 60 else words[:57] + "..."
