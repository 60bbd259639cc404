"""Files of text and tables of texts, row by row: what several readers need. Needs no Keras."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from kptk.errors import InputError

Row = Mapping[str, Any]
SPLIT_COLUMN = "split"
TRAIN = ("", "train", "training", "unlabeled", "unlabelled", "unsupervised")
TEST = ("test", "testing", "val", "valid", "validation", "dev")
LONGEST_FILE = 64_000_000
"""Bytes of a document that is a file or a paragraph."""
PACKED = {".gz": gzip.open, ".xz": lzma.open}
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What a damaged archive can raise."""


def open_binary(path: Path) -> IO[bytes]:
    """Open a file, unpacked if its name ends with ``.gz`` or ``.xz``.

    Args:
        path: the file.
    """
    opener: Any = PACKED.get(path.suffix.lower(), open)
    return opener(path, "rb")


def codec_of(path: Path, encoding: str) -> str:
    """The encoding to use for a file: what its first bytes say, else what the user says.

    Args:
        path: the file.
        encoding: as the user wrote it.

    Raises:
        InputError: if there is no such encoding, or the file cannot be opened or is empty.
    """
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise InputError(
            f"`encoding` must be the name of an encoding, such as utf-8 or latin-1. Received: {encoding!r}."
        ) from None
    try:
        with open_binary(path) as file:
            head = file.read(4096)
    except BROKEN as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not head:
        raise InputError(f"{path} is empty.")
    found = next((codec for mark, codec in BOMS if head.startswith(mark)), "")
    if found:
        return found
    if b"\0" in head and not known.startswith(("utf-16", "utf-32")):
        raise InputError(f"{path} is a binary file, not text: it holds zero bytes.")
    return known


def table_rows(path: Path, encoding: str = "utf-8", *, nested: bool = False) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a table one after the other, with their numbers from 1.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson`` (each also packed as ``.gz`` or ``.xz``) or ``.parquet`` file.
        encoding: of the file, unless a byte order mark says otherwise.
        nested: whether to read columns of lists of a Parquet file, too.

    Raises:
        InputError: if the file cannot be read.
    """
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").removesuffix(".xz")
    try:
        if kind.endswith(".parquet"):
            yield from _parquet_rows(path, nested)
        elif kind.endswith((".jsonl", ".ndjson")):
            yield from _json_rows(path, codec_of(path, encoding))
        else:
            yield from _csv_rows(path, codec_of(path, encoding), "\t" if kind.endswith(".tsv") else ",")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not {encoding}: byte 0x{error.object[error.start]:02x} does not belong there. Say which encoding "
            "it has, such as -o data.encoding=latin-1"
        ) from None
    except BROKEN as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _csv_rows(path: Path, codec: str, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_FILE)
    with open_binary(path) as file, io.TextIOWrapper(file, encoding=codec, newline="") as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            names = next(reader, None)
            if not names:
                raise InputError(f"{path} has no header row.")
            for number, values in enumerate(reader, 1):
                if not values:
                    continue
                if len(values) != len(names):
                    raise InputError(
                        f"{path}, row {number:,} has {len(values)} columns and the header has {len(names)}. Is a quote missing?"
                    )
                yield number, dict(zip(names, values, strict=True))
        except csv.Error as error:
            raise InputError(f"{path} is not a readable table, near line {reader.line_num:,}: {error}") from None


def _json_rows(path: Path, codec: str) -> Iterator[tuple[int, Row]]:
    with open_binary(path) as file, io.TextIOWrapper(file, encoding=codec) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(
                    f"{path}, line {number:,} is not JSON: {error}. One object a line is wanted."
                ) from None
            if not isinstance(row, dict):
                raise InputError(f'{path}, line {number:,} is no JSON object, such as {{"text": "..."}}.')
            yield number, row


def _parquet_rows(path: Path, nested: bool) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            number = 0
            for batch in file.iter_batches(batch_size=4096, columns=None if nested else _flat(file.schema_arrow)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
            if not number and names:
                raise InputError(f"{path} has no rows.")
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a readable Parquet file: {error}") from None


def _flat(schema: Any) -> list[str]:
    """Columns that can hold texts, labels or splits; nested ones are left out."""
    return [field.name for field in schema if not str(field.type).startswith(("list", "struct", "map", "large_list"))]


def is_test_row(row: Row, where: str) -> bool:
    """Whether the column ``split`` of a table says that a row is for tests.

    Args:
        row: the row.
        where: file and row, for messages.

    Raises:
        InputError: if it says something else than train or test.
    """
    value = row.get(SPLIT_COLUMN)
    if not isinstance(value, str):
        return False
    word = value.strip().lower()
    if word in TRAIN:
        return False
    if word in TEST:
        return True
    raise InputError(f"{where}: column 'split' must say train or test. Received: {value!r}. Rename the column.")


def json_object(path: Path, writer: str) -> dict[str, Any]:
    """Read a file that describes some data.

    Args:
        path: the file.
        writer: what writes such files, for messages.

    Raises:
        InputError: if it cannot be read or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is not what {writer} writes.")
    return found
