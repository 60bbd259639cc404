"""Scalings of numbers: learned from training rows in NumPy, applied in `keras.ops`, and undone.

All leave NaN as it is and ignore it when they learn. A column without spread is divided by 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

SCALINGS = ("standard", "minmax", "robust", "maxabs", "quantile", "uniform", "none")
KNOTS = 101
"""Quantiles that the quantile scaling keeps of each column."""
EDGE = 1e-7
LARGEST = 5.199337582605575
"""How near to 0 and 1 a level may come before it is made normal, and the largest deviate, as in scikit-learn."""

Affine = dict[str, list[float]]
"""``centre`` and ``scale`` of each column: the scaled number is ``(x - centre) / scale``."""


def scale(x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """``(x - centre) / spread``: what every scaling but the quantile's is.

    Args:
        x: shape ``(batch, columns)``.
        centre: shape ``(columns,)``.
        spread: shape ``(columns,)``, nowhere 0.
    """
    return (x - centre) / spread


def unscale(y: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """Undo `scale`.

    Args:
        y: scaled numbers, shape ``(batch, columns)``.
        centre: shape ``(columns,)``.
        spread: shape ``(columns,)``.
    """
    return y * spread + centre


def standard(mean: NDArray[Any], variance: NDArray[Any]) -> Affine:
    """Zero mean and unit variance: ``(x - mean) / std``, with the variance of the rows themselves (divided by their number).

    Args:
        mean: of each column.
        variance: of each column.
    """
    return _affine(mean, np.sqrt(variance))


def minmax(lowest: NDArray[Any], highest: NDArray[Any], low: float = 0.0, high: float = 1.0) -> Affine:
    """To a range: ``(x - min) / (max - min) (high - low) + low``. A constant column becomes `low`.

    Args:
        lowest: of each column.
        highest: of each column.
        low: lower end of the range.
        high: upper end.
    """
    span = np.where(highest > lowest, highest - lowest, 1.0)
    spread = span / (high - low)
    return _affine(lowest - low * spread, spread)


def robust(quartile1: NDArray[Any], median: NDArray[Any], quartile3: NDArray[Any]) -> Affine:
    """``(x - median) / (q3 - q1)``: outliers do not move it.

    Args:
        quartile1: of each column.
        median: of each column.
        quartile3: of each column.
    """
    return _affine(median, quartile3 - quartile1)


def maxabs(lowest: NDArray[Any], highest: NDArray[Any]) -> Affine:
    """``x / max|x|``: zeros stay zeros.

    Args:
        lowest: of each column.
        highest: of each column.
    """
    largest = np.maximum(np.abs(lowest), np.abs(highest))
    return _affine(np.zeros_like(largest), largest)


def none(columns: int) -> Affine:
    """Numbers as they are.

    Args:
        columns: how many.
    """
    return _affine(np.zeros(columns), np.ones(columns))


def _affine(centre: NDArray[Any], spread: NDArray[Any]) -> Affine:
    # A spread that is only rounding is none, as in scikit-learn.
    tiny = 10 * np.finfo(np.float64).eps
    centre, spread = np.asarray(centre, np.float64), np.asarray(spread, np.float64)
    usable = np.isfinite(spread) & (np.abs(spread) > tiny)
    return {
        "centre": np.where(np.isfinite(centre), centre, 0.0).tolist(),
        "scale": np.where(usable, spread, 1.0).tolist(),
    }


def knots(values: NDArray[Any]) -> NDArray[np.float64]:
    """The quantiles of one column at equal steps, its NaN left out.

    Args:
        values: of the training rows, shape ``(rows,)``.

    Returns:
        Shape ``(KNOTS,)``, rising.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(KNOTS)
    return np.maximum.accumulate(np.quantile(known, np.linspace(0, 1, KNOTS)))


def quantile(x: Tensor, points: Tensor, *, normal: bool = True) -> Tensor:
    """Where a number lies among the training rows, 0 to 1, between the knots by a straight line; then as a normal deviate.

    ``F(x) = sum_k (p_k+1 - p_k) clip((x - v_k) / (v_k+1 - v_k), 0, 1)`` for knots `v` at the levels `p`. Where several knots
    have one value, it stands for the middle of their levels; the lowest is always 0 and the highest 1. All as in scikit-learn.

    Args:
        x: shape ``(batch, columns)``.
        points: the knots `v`, shape ``(columns, knots)``.
        normal: whether to give the normal deviate of that level and not the level itself.
    """
    count = int(points.shape[-1])
    x = ops.expand_dims(x, -1)
    low, high = points[:, :-1], points[:, 1:]  # (columns, knots - 1)
    gap = high - low
    jump = gap <= 0
    slope = (x - low) / ops.where(jump, ops.ones_like(gap), gap)
    ramp = ops.clip(slope, 0.0, 1.0)
    step = 0.5 * (ops.cast(x > low, x.dtype) + ops.cast(x >= low, x.dtype))
    level = ops.sum(ops.where(jump, step, ramp), axis=-1) / (count - 1)
    level = ops.where(x[..., 0] <= points[:, 0], ops.zeros_like(level), level)
    level = ops.where(x[..., 0] >= points[:, -1], ops.ones_like(level), level)
    if not normal:
        return level
    deviate = math.sqrt(2.0) * ops.erfinv(2.0 * ops.clip(level, EDGE, 1.0 - EDGE) - 1.0)
    deviate = ops.where(level >= 1.0, LARGEST * ops.ones_like(level), deviate)  # which float32 cannot compute
    return ops.clip(deviate, -LARGEST, LARGEST)


def unquantile(y: NDArray[Any], points: NDArray[Any], *, normal: bool = True) -> NDArray[np.float64]:
    """Undo `quantile`, in NumPy.

    Args:
        y: scaled numbers, shape ``(batch, columns)``.
        points: the knots, shape ``(columns, knots)``.
        normal: as in `quantile`.
    """
    from scipy.stats import norm

    level = norm.cdf(y) if normal else y
    steps = np.linspace(0, 1, points.shape[-1])
    columns = [np.interp(level[:, place], steps, points[place]) for place in range(len(points))]
    return np.stack(columns, axis=1) if columns else np.empty((len(y), 0))
