"""From the features of a table back to its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG
from kptk_tables import encoding, scaling
from kptk_tables.layout import Fitted, Layout

if TYPE_CHECKING:
    from kptk_tables.planning import Choices


def invert(layout: Layout, choices: Choices, features: NDArray[Any]) -> NDArray[np.object_]:
    """Undo a table's preparation where that has a meaning.

    Args:
        layout: what was learned.
        choices: the options.
        features: shape ``(rows, features)``.

    Returns:
        Cells, shape ``(rows, columns)``: numbers, flags of 0 and 1, names. None for a name that was nothing or hashed, and
        for dates, of which only parts are kept.
    """
    cells = np.full((len(features), len(layout.columns)), None, dtype=object)
    owner = layout.slots
    scaled = len(layout.scaled)
    numbers = _unscale(layout, choices, features[:, :scaled])
    for index, place in enumerate(layout.scaled):
        column = layout.columns[owner[place]]
        values = numbers[:, index]
        if column.kind == CATEGORY:
            cells[:, owner[place]] = _names(column, encoding.from_ordinal(values[:, None], column.count))
        elif column.kind != DATE:
            cells[:, owner[place]] = values
    start = 0
    for group in layout.groups:
        stop = start + group.size
        column = layout.columns[group.column]
        if column.kind == FLAG:
            cells[:, group.column] = features[:, start]
        elif column.kind == CATEGORY and choices.categories in ("onehot", "binary"):
            part = features[:, start:stop]
            onehot = choices.categories == "onehot"
            codes = encoding.from_one_hot(part) if onehot else encoding.from_binary(part, column.count)
            cells[:, group.column] = _names(column, codes)
        start = stop
    return cells


def _unscale(layout: Layout, choices: Choices, numbers: NDArray[Any]) -> NDArray[np.float64]:
    if layout.knots:
        return scaling.unquantile(numbers, np.asarray(layout.knots), normal=choices.scaling == "quantile")
    return np.asarray(scaling.unscale(numbers, np.asarray(layout.centre), np.asarray(layout.scale)))


def _names(column: Fitted, codes: NDArray[np.int64]) -> NDArray[np.object_]:
    names = np.array([*column.values, None], dtype=object)[codes]
    if column.missing >= 0:
        names[codes == column.missing] = None
    return names
