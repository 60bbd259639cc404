"""Parts of dates: days since 1970, and where in the year, month, week and day a moment lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

PERIODS = {"month": 12.0, "day": 31.0, "weekday": 7.0, "hour": 24.0}
"""The parts that come again, with the period of each, in the part's own unit."""
PARTS = ("days", *PERIODS)


def date_parts(cells: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The parts of moments, NaN where they are missing.

    Args:
        cells: `datetime.datetime` or None, shape ``(rows,)``.

    Returns:
        ``days`` since 1970 with fractions, ``month`` 0 to 11, ``day`` of the month 0 to 30, ``weekday`` from Monday, 0 to 6,
        ``hour`` with fractions, 0 to 24.

    Example:
        >>> from datetime import datetime
        >>> parts = date_parts(np.array([datetime(1970, 1, 4, 12), None], dtype=object))
        >>> {name: values[0].item() for name, values in parts.items()}
        {'days': 3.5, 'month': 0.0, 'day': 3.0, 'weekday': 6.0, 'hour': 12.0}
    """
    moments = np.asarray(cells).astype("datetime64[us]")
    missing = np.isnat(moments)
    moments = np.where(missing, np.datetime64(0, "us"), moments)
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    seconds = (moments - days) / np.timedelta64(1, "s")
    parts = {
        "days": days.astype(np.int64) + seconds / 86400,
        "month": months.astype(np.int64) % 12,
        "day": (days - months.astype("datetime64[D]")) / np.timedelta64(1, "D"),
        "weekday": (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday
        "hour": seconds / 3600,
    }
    return {name: np.where(missing, np.nan, values.astype(np.float64)) for name, values in parts.items()}


def cyclic(x: Tensor, period: float) -> Tensor:
    """``(sin 2 pi x / period, cos 2 pi x / period)``: the end of a period is next to its beginning. Both 0 for NaN.

    Args:
        x: shape ``(batch,)``.
        period: in the unit of `x`.
    """
    known = ops.logical_not(ops.isnan(x))
    angle = ops.where(known, x, ops.zeros_like(x)) * (2.0 * math.pi / period)
    pair = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)
    return pair * ops.cast(ops.expand_dims(known, -1), pair.dtype)
