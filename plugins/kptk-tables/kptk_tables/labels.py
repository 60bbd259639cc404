"""Labels and test part of a table, from its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk_tables.inference import MOSTLY, Profile
from kptk_tables.table_source import TablePart, TableSource

MOST_CLASSES = 1000
MOST_NUMBERED = 50
"""A column of whole numbers with at most so many different ones may be classes; with more it is numbers only."""


def number_labels(source: TableSource, label: str, pieces: Sequence[NDArray[np.generic]], profile: Profile) -> None:
    """Give a table its labels: class numbers where the column has few values, numbers where it holds numbers.

    Args:
        source: the table, changed in place.
        label: name of the column.
        pieces: its cells as texts, None for missing.
        profile: what was found out about the column.

    Raises:
        InputError: if there is nothing to tell apart, or the column is neither classes nor numbers.
    """
    cells = np.concatenate(pieces)
    known = np.array([cell is not None for cell in cells.tolist()], dtype=bool)
    if not known.any():
        raise InputError(f"{source.name}: every cell of the label column '{label}' is missing.")
    names, codes = np.unique(cells[known].astype(str), return_inverse=True)
    if len(names) == 1:
        raise InputError(
            f"{source.name}: the label column '{label}' is '{names[0]}' in all {int(known.sum()):,} rows that have one, so "
            "there is nothing to tell apart. Name another column: -o data.label=COLUMN"
        )
    source.label = label
    numeric = profile.numbers >= MOSTLY * profile.known
    if numeric:
        values, wrong = profile.floats(_arrow(cells))
        if wrong.any():
            first = str(cells[wrong][0])
            raise InputError(f"{source.name}: the label column '{label}' holds numbers and '{first}', which is none.")
        source.targets = values
        whole = bool((np.mod(values[known], 1) == 0).all())
        if not whole or len(names) > MOST_NUMBERED:
            return
        order = np.argsort(names.astype(float), kind="stable")
        names, codes = names[order], np.argsort(order)[codes]
    elif len(names) > MOST_CLASSES:
        raise InputError(
            f"{source.name}: the label column '{label}' has {len(names):,} different values in {int(known.sum()):,} rows. "
            f"Classes come again; there may be {MOST_CLASSES:,} at most. Name another column: -o data.label=COLUMN"
        )
    numbers = np.full(len(cells), -1, dtype=np.int64)
    numbers[known] = codes
    source.labels = numbers
    source.class_names = tuple(names.tolist())


def _arrow(cells: NDArray[np.generic]) -> Any:
    import pyarrow as pa

    return pa.array(cells, pa.string())


def find_parts(source: TableSource, split: str, pieces: Sequence[NDArray[np.generic]]) -> Any:
    """Divide a table by a column of ``train`` and ``test``.

    Args:
        source: the whole.
        split: name of the column.
        pieces: its cells.

    Returns:
        The rows that are not for tests, with the others as their test part.

    Raises:
        InputError: if the column holds something else, or one of the two parts is empty.
    """
    cells = np.array([str(cell).lower() for cell in np.concatenate(pieces).tolist()])
    known = ("train", "test", "validation", "valid", "val", "dev")
    strange = [cell for cell in np.unique(cells) if cell not in known]
    if strange:
        raise InputError(
            f"{source.name}: the column '{split}' must hold train and test (validation rows count as train). "
            f"Received: '{strange[0]}'."
        )
    test = np.flatnonzero(cells == "test")
    train = np.flatnonzero(cells != "test")
    if not len(test) or not len(train):
        raise InputError(f"{source.name}: all rows of the column '{split}' are of one part, '{cells[0]}'.")
    part: Source = TablePart(source, test, f"test rows by {split}")
    return TablePart(source, train, f"rows to learn from by {split}", part)
