"""Texts in a column of a table: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kptk.errors import InputError
from kptk.reading import LONGEST_FILE, Row, is_test_row, table_rows
from kptk.saved_sets import features_of, is_saved_set, parts_of, saved_rows
from kptk.tablerows import column_named
from kptk_text.building import RowBuilder
from kptk_text.rows import TextRows

TEXT_COLUMNS = ("text", "sentence", "document", "content", "body", "review")
LABEL_COLUMNS = ("label", "class", "category", "intent", "target")


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
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also packed as ``.gz`` or ``.xz``) or ``.parquet`` file, or
            a folder that `save_to_disk` of Hugging Face's `datasets` wrote.
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
    for number, row in saved_rows(Path(path)) if Path(path).is_dir() else table_rows(Path(path), encoding):
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
        builder.stored(data, _label(row, columns.label), test=is_test_row(row, where))
    return builder.finish()


def refuse_other_folders(path: str, given: Collection[str]) -> None:
    """Raise for a folder that is no saved data set with a column of texts.

    Args:
        path: a file, which is none of its business, or a folder.
        given: names of the options that the user set.

    Raises:
        InputError: if it holds no texts.
    """
    del given
    folder = Path(path)
    if not folder.is_dir():
        return
    features = features_of(parts_of(folder)[0][1]) if is_saved_set(folder) else {}
    if not any(about.get("dtype") in ("string", "large_string") for about in features.values()):
        raise InputError(f"{path} is no data set with a column of texts that `save_to_disk` of datasets wrote.")


class _Columns:
    """Which columns hold texts and labels."""

    def __init__(self, path: str, names: list[str], text: str, label: str) -> None:
        self.text = column_named(path, names, text, "text") if text else _usual(names, TEXT_COLUMNS)
        if not self.text and len(names) == 1:
            self.text = names[0]
        if not self.text:
            raise InputError(
                f"{path}: say which column holds the texts: -o data.text=NAME. Its columns: {', '.join(names)}."
            )
        if label == "-":
            self.label = ""
        else:
            self.label = column_named(path, names, label, "label") if label else _usual(names, LABEL_COLUMNS)


def _usual(names: list[str], usual: tuple[str, ...]) -> str:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), "")


def _label(row: Row, column: str) -> str | None:
    if not column:
        return None
    value = row[column]
    return "" if value is None else str(value).strip()
