"""Labels and test part of a table, from its own columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kptk.data import Source
from kptk.errors import InputError
from kptk.parts import part_called
from kptk_tables.coded import Coded
from kptk_tables.inference import MOST_VALUES, MOSTLY
from kptk_tables.table_source import TablePart, TableSource

MOST_CLASSES = 1000
MOST_NUMBERED = 50
"""A column of whole numbers with at most so many different ones may be classes; with more it is numbers only."""


def number_labels(source: TableSource, label: str, cells: Coded, *, learn: bool = True) -> None:
    """Give a table its labels: class numbers where the column has few values, numbers where it holds numbers.

    Args:
        source: the table, changed in place.
        label: name of the column.
        cells: of that column.
        learn: whether a model is to learn from them; rows to predict for may have no label, or all the same one.

    Raises:
        InputError: if there is nothing to tell apart, or the column is neither classes nor numbers.
    """
    profile = cells.profile
    source.label = label
    numeric = profile.numbers >= MOSTLY * profile.known
    if not cells.few:
        if not numeric:
            raise _too_many(source, label, f"more than {MOST_VALUES:,}")
        _refuse_wrong(source, label, cells.wrong)
        source.targets = cells.as_numbers()
        return
    counts = cells.counts
    counts.pop("", None)
    names = list(counts)
    if not names and not learn:
        return
    if not names:
        raise InputError(f"{source.name}: every cell of the label column '{label}' is missing.")
    if len(names) == 1 and learn:
        raise InputError(
            f"{source.name}: the label column '{label}' is '{names[0]}' in all {counts[names[0]]:,} rows that have one, so "
            "there is nothing to tell apart. Name another column: -o data.label=COLUMN"
        )
    if numeric:
        values, wrong = profile.floats(pa.array(names, pa.string()))
        _refuse_wrong(source, label, next((name for name, bad in zip(names, wrong, strict=True) if bad), ""))
        source.targets = cells.as_values({"": np.nan, **dict(zip(names, values.tolist(), strict=True))}, np.float64)
        if (np.mod(values, 1) != 0).any() or len(names) > MOST_NUMBERED:
            return
        names = [names[place] for place in np.argsort(values, kind="stable").tolist()]
    elif len(names) > MOST_CLASSES:
        raise _too_many(source, label, f"{len(names):,}")
    source.labels = cells.as_values({"": -1, **{name: number for number, name in enumerate(names)}}, np.int64)
    source.class_names = tuple(names)


def _refuse_wrong(source: TableSource, label: str, cell: str) -> None:
    if cell:
        raise InputError(f"{source.name}: the label column '{label}' holds numbers and '{cell}', which is none.")


def _too_many(source: TableSource, label: str, count: str) -> InputError:
    return InputError(
        f"{source.name}: the label column '{label}' has {count} different values in {len(source):,} rows. "
        f"Classes come again; there may be {MOST_CLASSES:,} at most. Name another column: -o data.label=COLUMN"
    )


def find_parts(source: TableSource, split: str, cells: Coded) -> TablePart:
    """Divide a table by a column of ``train`` and ``test``.

    Args:
        source: the whole.
        split: name of the column.
        cells: of that column.

    Returns:
        The rows that are not for tests, with the others as their test part.

    Raises:
        InputError: if the column holds something else, or one of the two parts is empty.
    """
    used = cells.counts if cells.few else {}
    strange = [name for name in used if not part_called(name)]
    if strange or not cells.few:
        raise InputError(
            f"{source.name}: the column '{split}' must hold train and test (validation rows count as train). "
            f"Received: '{strange[0] if strange else 'many different values'}'."
        )
    is_test = cells.as_values({name: part_called(name) == "test" for name in used}, np.bool_)
    test, train = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    if not len(test) or not len(train):
        first = next(iter(used)).lower()
        raise InputError(f"{source.name}: all rows of the column '{split}' are of one part, '{first}'.")
    part: Source = TablePart(source, test, f"test rows by {split}")
    return TablePart(source, train, f"rows to learn from by {split}", part)
