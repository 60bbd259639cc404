"""Images that are listed in a table with a column of paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk.parts import divided, part_called
from kptk.tablerows import BadRows, column_named, table_rows
from kptk_vision.image_rows import ImageRows, image_rows
from kptk_vision.store import ImageStore, read_file

IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "filepath", "image_path")
"""Columns taken for that of the pictures where none is named."""
MOST_CLASSES = 1000
MOST_NUMBERED = 50
"""A column of whole numbers with at most so many different ones may be classes; with more it is numbers only."""


class TableStore(ImageStore):
    """Image files that the rows of a table name.

    Args:
        table: the file.
        folder: where relative paths begin.
        names: the paths as the table has them.
        numbers: the row of each.
    """

    def __init__(self, table: str, folder: Path, names: list[str], numbers: list[int]) -> None:
        super().__init__(table, names)
        self.folder = folder
        self.numbers = np.array(numbers, dtype=np.int64)

    def read(self, row: int) -> bytes:
        """The bytes of one file."""
        return read_file(self.folder / self.names[row])

    def where(self, row: int) -> str:
        """The row of the table and the path of the file."""
        return f"{self.title}, row {self.numbers[row]:,}: {self.folder / self.names[row]}"


def image_table(
    path: str,
    *,
    image: str = "",
    label: str = "",
    root: str = "",
    split: str = "",
    delimiter: str = "auto",
    encoding: str = "utf-8",
    absent: str = "error",
    image_size: int = 0,
    channels: int = 0,
    on_bad_input: str = "error",
) -> Source:
    """Open the images that a table lists. The table is read once, and every image is decoded once before training.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also ``.gz``, ``.xz``, ``.bz2``) or ``.parquet`` file.
        image: name of the column of paths; by default one called image, path, file or filename.
        label: name of the column of labels, classes or numbers; empty for none.
        root: folder where relative paths begin, itself relative to the table; empty for the table's own.
        split: name of a column that says train, validation or test for each row.
        delimiter: between the cells of a CSV file, one character or its name; ``"auto"`` looks at the header.
        encoding: of a text file.
        absent: what to do with a label or split column that the table lacks, or in which all rows are alike: ``"error"``, or
            ``"ignore"``, with which a model's own options are used to read other tables.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for grey if all files are grey, else colour.
        on_bad_input: ``"error"`` refuses a row without a readable image, ``"skip"`` leaves such rows out and lists them.

    Returns:
        A row for each row of the table that can be used, in its order.

    Raises:
        InputError: if the table or an image cannot be read, with the row and the path.
    """
    table = Path(path)
    bad = BadRows(path, on_bad_input)
    names: list[str] = []
    numbers: list[int] = []
    cells: dict[str, list[Any]] = {}
    wanted: dict[str, str] | None = None
    for number, row in table_rows(table, bad, delimiter=delimiter, encoding=encoding):
        if wanted is None:
            wanted = _columns(path, list(row), image=image, label=label, split=split, absent=absent)
            cells = {part: [] for part, column in wanted.items() if column and part != "image"}
        name = row.get(wanted["image"])
        if problem := _problem(name, wanted["image"]):
            bad(number, problem)
            continue
        if lacking := next((column for column in wanted.values() if column and column not in row), ""):
            bad(number, f"it has no '{lacking}'")
            continue
        names.append(str(name).strip())
        numbers.append(number)
        for part, found in cells.items():
            found.append(_cell(row, wanted[part]))
    if not names:
        first = f" The first: {bad.listed[0].path}: {bad.listed[0].reason}" if bad.listed else ""
        raise InputError(f"{path} has no rows that can be read.{first}")
    source = image_rows(
        TableStore(path, _folder(table, root), names, numbers),
        image_size=image_size,
        channels=channels,
        on_bad_input=on_bad_input,
        bad_before=bad.listed,
        meaning=_meaning(cells),
    )
    if "label" in cells and wanted:
        own = [cells["label"][row] for row in source.rows.tolist()]
        _give_labels(source, path, wanted["label"], own, learn=absent == "error")
    if "split" not in cells or not wanted:
        return source
    return divided(source, [_part(path, wanted["split"], cells["split"][row]) for row in source.rows.tolist()])


def _columns(path: str, names: list[str], *, image: str, label: str, split: str, absent: str) -> dict[str, str]:
    """The columns of image, label and split; empty for one that is not there."""
    lower = {name.lower(): name for name in reversed(names)}
    usual = next((lower[name] for name in IMAGE_COLUMNS if name in lower), "")
    if not image and not usual:
        raise InputError(
            f"{path}: say which column holds the paths of the images: -o data.image=COLUMN. Its columns: {', '.join(names)}."
        )
    found = {"image": column_named(path, names, image, "image") if image else usual}
    for option, column in (("label", label), ("split", split)):
        there = column and (column in names or absent == "error")
        found[option] = column_named(path, names, column, option) if there else ""
    return found


def _problem(name: Any, column: str) -> str:
    """What is wrong with the cell of a path, empty if nothing is."""
    if name is None or not str(name).strip():
        return f"column '{column}' is empty"
    if not isinstance(name, str):
        return f"column '{column}' must hold paths. Received: {str(name)[:40]}"
    if "://" in name:
        return f"{name[:80]} is an address; images are read from files on this machine only"
    return f"column '{column}' holds a zero byte" if "\0" in name else ""


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124  # NaN is not itself


def _folder(table: Path, root: str) -> Path:
    """Where relative paths begin."""
    if not root:
        return table.parent
    for folder in (table.parent / Path(root).expanduser(), Path(root).expanduser().absolute()):
        if folder.is_dir():
            return folder
    raise InputError(f"no folder {table.parent / root} (-o data.root=), where the paths of {table} are to begin.")


def _meaning(cells: Mapping[str, list[Any]]) -> str:
    """Hash of labels and parts, which are content of the table and not of the images."""
    import hashlib

    return hashlib.sha256(repr(sorted(cells.items())).encode("utf-8", "surrogateescape")).hexdigest() if cells else ""


def _part(path: str, column: str, cell: str) -> str:
    part = part_called(cell) if cell else "train"
    if not part:
        raise InputError(f"{path}: the column '{column}' must hold train, validation or test. Received: '{cell}'.")
    return part


def _give_labels(source: ImageRows, path: str, column: str, cells: list[str], *, learn: bool) -> None:
    """Classes where the column has few values, numbers where it holds fractions or many numbers.

    Rows that a model is only to predict for (not `learn`) may have no label, or all the same one.
    """
    known = sorted({cell for cell in cells if cell})
    if not known and not learn:
        return
    if not known:
        raise InputError(f"{path}: every cell of the label column '{column}' is empty.")
    if len(known) == 1 and learn:
        raise InputError(
            f"{path}: the label column '{column}' is '{known[0]}' in every row that has a label, so there is nothing to tell "
            "apart. Name another column: -o data.label=COLUMN"
        )
    values = _numbers(known)
    if values is not None and (len(known) > MOST_NUMBERED or any(value % 1 for value in values)):
        source.targets = np.array([float(cell) if cell else math.nan for cell in cells], dtype=np.float64)
        return
    if len(known) > MOST_CLASSES:
        raise InputError(
            f"{path}: the label column '{column}' has {len(known):,} different values in {len(cells):,} rows. Classes come "
            f"again; there may be {MOST_CLASSES:,} at most. Name another column: -o data.label=COLUMN"
        )
    if values is not None:
        known = [name for _, name in sorted(zip(values, known, strict=True))]
        source.targets = np.array([float(cell) if cell else math.nan for cell in cells], dtype=np.float64)
    number = {name: index for index, name in enumerate(known)}
    source.labels = np.fromiter((number.get(cell, -1) for cell in cells), dtype=np.int64, count=len(cells))
    source.class_names = tuple(known)


def _numbers(names: list[str]) -> list[float] | None:
    try:
        values = [float(name) for name in names]
    except ValueError:
        return None
    return values if all(math.isfinite(value) for value in values) else None
