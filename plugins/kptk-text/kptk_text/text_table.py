"""Texts in a column of a table: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kptk.errors import InputError, did_you_mean
from kptk_text.building import RowBuilder
from kptk_text.rows import TextRows
from kptk_text.scanning import BROKEN, LONGEST_FILE, codec_of, open_binary

TEXT_COLUMNS = ("text", "sentence", "document", "content", "body", "review")
LABEL_COLUMNS = ("label", "class", "category", "intent", "target")
SPLIT_COLUMN = "split"
TRAIN = ("", "train", "training", "unlabeled", "unlabelled", "unsupervised")
TEST = ("test", "testing", "val", "valid", "validation", "dev")
Row = Mapping[str, Any]


def text_table(
    path: str,
    *,
    text: str = "",
    label: str = "",
    encoding: str = "utf-8",
    duplicates: str = "keep",
    on_bad_input: str = "error",
) -> TextRows:
    """Open the texts of one column of a table, with the labels of another.

    The table is read once, row by row, and its texts are put into a nameless file in the temporary folder. A column
    ``split`` that says train or test for each row keeps the test rows apart, as `holdout`.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also packed as ``.gz`` or ``.xz``) or ``.parquet`` file.
        text: name of the column of texts; by default one called text, sentence, document, content, body or review.
        label: name of the column of labels; by default one called label, class, category, intent or target, if there
            is one; ``-`` for none. Fractions become targets for regression.
        encoding: of the file, unless a byte order mark says otherwise.
        duplicates: ``"keep"`` counts texts that came before, ``"drop"`` leaves them out.
        on_bad_input: ``"error"`` refuses rows without a usable text, ``"skip"`` leaves them out and lists them.

    Returns:
        The texts; empty ones are left out and counted.

    Raises:
        InputError: if the file cannot be read or has no such column.
    """
    builder = RowBuilder(Path(path).name, on_bad_input=on_bad_input, duplicates=duplicates)
    columns: _Columns | None = None
    for number, row in _rows(Path(path), encoding):
        columns = columns or _Columns(path, list(row), text, label)
        where = f"{path}, row {number:,}"
        value = row.get(columns.text)
        if value is None:
            builder.empty += 1
            continue
        if not isinstance(value, str):
            builder.bad(where, f"column '{columns.text}' holds {type(value).__name__} and not text")
            continue
        if columns.label and columns.label not in row:
            builder.bad(where, f"it has no column '{columns.label}'")
            continue
        data = value.strip().encode("utf-8", "surrogatepass")
        if len(data) > LONGEST_FILE:
            builder.bad(where, f"the text has {len(data) / 1e6:.0f} MB, more than {LONGEST_FILE / 1e6:.0f}")
            continue
        builder.stored(data, _label(row, columns.label), test=_is_test(row, where))
    return builder.finish()


class _Columns:
    """Which columns hold texts and labels."""

    def __init__(self, path: str, names: list[str], text: str, label: str) -> None:
        self.text = _named(path, names, text, "text") if text else _usual(names, TEXT_COLUMNS)
        if not self.text and len(names) == 1:
            self.text = names[0]
        if not self.text:
            raise InputError(
                f"{path}: say which column holds the texts: -o data.text=NAME. Its columns: {', '.join(names)}."
            )
        if label == "-":
            self.label = ""
        else:
            self.label = _named(path, names, label, "label") if label else _usual(names, LABEL_COLUMNS)


def _named(path: str, names: list[str], wanted: str, option: str) -> str:
    if wanted in names:
        return wanted
    hint = did_you_mean(wanted, names)
    raise InputError(
        f"{path} has no column '{wanted}' (-o data.{option}=). Its columns: {', '.join(names)}. {hint}".strip()
    )


def _usual(names: list[str], usual: tuple[str, ...]) -> str:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), "")


def _label(row: Row, column: str) -> str | None:
    if not column:
        return None
    value = row[column]
    return "" if value is None else str(value).strip()


def _is_test(row: Row, where: str) -> bool:
    value = row.get(SPLIT_COLUMN)
    if not isinstance(value, str):
        return False
    word = value.strip().lower()
    if word in TRAIN:
        return False
    if word in TEST:
        return True
    raise InputError(f"{where}: column 'split' must say train or test. Received: {value!r}. Rename the column.")


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, Row]]:
    """Yield row numbers from 1, and rows."""
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").removesuffix(".xz")
    try:
        if kind.endswith(".parquet"):
            yield from _parquet_rows(path)
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


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            number = 0
            for batch in file.iter_batches(batch_size=4096, columns=_flat(file.schema_arrow)):
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
