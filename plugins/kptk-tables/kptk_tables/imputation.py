"""What stands for a missing number."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

POLICIES = ("median", "mean", "most_frequent", "zero", "error")


def filler(values: NDArray[Any], policy: str) -> float:
    """The number that stands for a missing one, learned from a column; 0 if every cell is missing.

    Args:
        values: of training rows, shape ``(rows,)``, NaN for missing.
        policy: one of `POLICIES`.
    """
    known = values[np.isfinite(values)]
    if not len(known) or policy in ("zero", "error"):
        return 0.0
    if policy == "mean":
        return float(known.mean())
    if policy == "most_frequent":
        found, counts = np.unique(known, return_counts=True)
        return float(found[counts.argmax()])
    return float(np.median(known))


def impute(x: Tensor, fillers: Tensor) -> Tensor:
    """Put the fillers in the place of NaN.

    Args:
        x: shape ``(batch, columns)``.
        fillers: shape ``(columns,)``.
    """
    return ops.where(ops.isnan(x), ops.broadcast_to(fillers, ops.shape(x)), x)


def was_missing(x: Tensor) -> Tensor:
    """1 where a number was missing, 0 elsewhere.

    Args:
        x: shape ``(batch, columns)``.
    """
    return ops.cast(ops.isnan(x), "float32")
