"""Reads numbers out of the labels of a source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError


def target_numbers(source: Source, task: str) -> NDArray[Any]:
    """The targets of a source as numbers, shape ``(rows, ...)``; class names that are numbers count as such.

    Args:
        source: the data.
        task: name of the task, for messages.

    Raises:
        InputError: if there are none, or they are no numbers.
    """
    if source.targets is not None:
        return np.asarray(source.targets)
    if source.labels is None:
        raise InputError(f"{source.describe()}: {task} needs a number for each row. Use an .npz with x and y.")
    try:
        values = np.array([float(name) for name in source.class_names], dtype="float32")
    except ValueError:
        raise InputError(
            f"{source.describe()}: {task} needs numbers but the labels are names, such as '{source.class_names[0]}'."
        ) from None
    return np.asarray(values[source.labels])


def refuse_nan(values: NDArray[Any], where: str) -> None:
    """Refuse targets with NaN or infinity.

    Args:
        values: the targets.
        where: what to call them.

    Raises:
        InputError: with the first such row.
    """
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise InputError(
            f"{where}: {len(bad):,} of {len(values):,} targets are NaN or infinite, first in row {bad[0]}. "
            "Mend them or leave those rows out."
        )
