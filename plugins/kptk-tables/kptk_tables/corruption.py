"""Corruption of rows: cells that another row lends, drawn from what each column holds in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kptk.types import Tensor


def choose_cells(count: Any, columns: int, amount: float, seed: Any) -> Tensor:
    """Choose the same number of columns in each row, at random.

    Args:
        count: rows.
        columns: columns of a row.
        amount: fraction of the columns to choose, 0 to 1; at least one column unless it is 0.
        seed: of the choice.

    Returns:
        Booleans, shape ``(count, columns)``.
    """
    chosen = min(max(int(amount * columns), 1), columns) if amount > 0 else 0
    if not chosen:
        return ops.zeros((count, columns), dtype="bool")
    noise = keras.random.uniform((count, columns), seed=seed)
    return noise <= ops.sort(noise, axis=-1)[:, chosen - 1 : chosen]


def lend(inputs: Tensor, chosen: Tensor, slots: Sequence[int], seed: Any) -> Tensor:
    """Replace the chosen cells by those of other rows, each column from a row of its own.

    In a batch of random rows that is a draw from the column's empirical marginal distribution.

    Args:
        inputs: prepared rows, shape ``(batch, numbers)``.
        chosen: which columns to replace, shape ``(batch, columns)``.
        slots: the column of each number; the numbers of one column are lent together.
        seed: of the draw.
    """
    count = ops.shape(inputs)[0]
    draw = keras.random.uniform(ops.shape(chosen), seed=seed)
    rows = ops.cast(ops.floor(draw * ops.cast(count, "float32")), "int32")
    rows = ops.minimum(rows, count - 1)  # a draw may round up to 1
    owner = ops.convert_to_tensor(list(slots), dtype="int32")
    lent = ops.take_along_axis(inputs, ops.take(rows, owner, axis=1), axis=0)
    return ops.where(ops.take(chosen, owner, axis=1), lent, inputs)
