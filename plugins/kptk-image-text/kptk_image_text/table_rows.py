"""Rows of a table as dictionaries, one after the other: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kptk.errors import InputError

SUFFIXES = (
    *(kind + packed for kind in (".csv", ".tsv", ".jsonl", ".ndjson") for packed in ("", ".gz", ".xz")),
    ".parquet",
)
LONGEST_FIELD = 64_000_000
_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, csv.Error)

Row = Mapping[str, Any]


def table_rows(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, Row]]:
    """Yield row numbers from 1, and rows.

    Args:
        path: the table.
        encoding: of a text file; a byte order mark of UTF-8 is skipped.

    Raises:
        InputError: if it cannot be read.
    """
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").removesuffix(".xz")
    try:
        if kind.endswith(".parquet"):
            yield from _parquet(path)
            return
        with _OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            lines = io.TextIOWrapper(file, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="")
            if kind.endswith((".jsonl", ".ndjson")):
                yield from _json(path, lines)
            else:
                yield from _csv(path, lines, "\t" if kind.endswith(".tsv") else ",")
    except LookupError:
        raise InputError(
            f"`encoding` must be the name of an encoding, such as latin-1. Received: {encoding!r}."
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not {encoding}: byte 0x{error.object[error.start]:02x} does not belong there. Say which encoding it "
            "has, such as -o data.encoding=latin-1"
        ) from None
    except _BROKEN as error:
        raise InputError(f"{path} is not a readable table: {error}") from None


def _csv(path: Path, lines: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names = next(reader, None)
    if not names:
        raise InputError(f"{path} has no header row.")
    for number, values in enumerate(filter(None, reader), 1):
        if len(values) != len(names):
            raise InputError(
                f"{path}, row {number:,} has {len(values)} columns and the header has {len(names)}. Is a quote missing?"
            )
        yield number, dict(zip(names, values, strict=True))


def _json(path: Path, lines: io.TextIOWrapper) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number:,} is not JSON: {error}. One object a line is wanted.") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number:,} is no JSON object.")
        yield number, row


def _parquet(path: Path) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a readable Parquet file: {error}") from None
