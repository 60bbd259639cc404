"""95 % intervals by resampling the rows that were tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Interval = tuple[float, float]

RESAMPLES = 1000
CHUNK = 50
LEVEL = 0.95
NORMAL = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % above it."""


def of_mean(values: NDArray[Any], seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean over rows.

    Args:
        values: one number a tested row, such as 1 for right and 0 for wrong; shape ``(rows,)``.
        seed: of the resampling.

    Returns:
        The ends of the 95 % interval.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13
    """
    return of_draws(np.asarray(values, dtype=np.float64)[None], seed)


def of_draws(values: NDArray[Any], seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean over draws and rows, both drawn anew: what other labels and other rows would give.

    Args:
        values: one number for each draw and tested row, shape ``(draws, rows)``.
        seed: of the resampling.

    Returns:
        The ends of the 95 % interval.

    References:
        https://arxiv.org/abs/1106.2125
    """
    values = np.asarray(values, dtype=np.float64)
    draws, rows = values.shape
    if values.min() == values.max() and values.max() in (0.0, 1.0):
        # Rows that are all right, or all wrong, leave the bootstrap without a width: the exact binomial bound has one.
        bound = float(((1 - LEVEL) / 2) ** (1 / rows))
        return (bound, 1.0) if values.max() else (0.0, 1.0 - bound)
    rng = np.random.default_rng([seed, 41])
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        count = min(CHUNK, RESAMPLES - start)
        weights = _counts(rng, count, rows)
        by_draw = values @ weights.T / rows  # (draws, count)
        means.append((by_draw * _counts(rng, count, draws).T).sum(axis=0) / draws)
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _counts(rng: np.random.Generator, resamples: int, rows: int) -> Array:
    """How often each row is in each resample with replacement, shape ``(resamples, rows)``."""
    chosen = rng.integers(0, rows, (resamples, rows)) + rows * np.arange(resamples)[:, None]
    return np.bincount(chosen.ravel(), minlength=resamples * rows).reshape(resamples, rows).astype(np.float64)


def of_halves(
    statistic: Callable[[NDArray[np.int64]], float], rows: int, value: float, seed: int = 0, *, halves: int = 100
) -> Interval:
    """Interval of a figure of all rows together, by random halves of them without replacement.

    The spread over halves is that of the figure of all rows. Rows that are drawn twice, as the ordinary bootstrap draws
    them, would lower a rank and raise a similarity.

    Args:
        statistic: from row numbers to the figure.
        rows: how many rows there are, at least 2.
        value: the figure of all rows.
        seed: of the halves.
        halves: how many.

    Returns:
        The ends of the 95 % interval.

    References:
        Politis, Romano and Wolf, Subsampling, 1999, chapter 2
    """
    rng = np.random.default_rng([seed, 43])
    half = max(rows // 2, 1)
    figures = [statistic(np.sort(rng.permutation(rows)[:half])) for _ in range(halves)]
    # The variance over m of n rows is (n - m) / m of that of the whole, which is 1 for halves.
    spread = float(np.std(figures, ddof=1)) * np.sqrt(half / max(rows - half, 1))
    return value - NORMAL * spread, value + NORMAL * spread
