"""Paired tests over seeds: is a difference between two arms more than chance, also when many are looked at?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds with its 95 % interval.

    Args:
        mean: the mean.
        low: lower end; equal to the mean with one seed, which has no interval.
        high: upper end.
        seeds: number of seeds.
    """

    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest(Interval):
    """The mean of paired differences with its 95 % interval, and how likely so large a mean is by chance.

    Args:
        p: two-sided; 1 with one seed.
    """

    p: float


def mean_interval(values: Sequence[float], floor: float = 0.0) -> Interval:
    """Mean of some values with the 95 % interval of Student's t.

    Args:
        values: one for each seed.
        floor: the smallest standard error that can be believed.

    Example:
        >>> mean_interval([0.25, 0.5, 0.75]).mean
        0.5
    """
    mean, error, count = _moments(values, floor)
    if count < 2:
        return Interval(mean=mean, low=mean, high=mean, seeds=count)
    half = _t_quantile(count - 1) * error
    return Interval(mean=mean, low=mean - half, high=mean + half, seeds=count)


def paired_test(first: Mapping[int, float], second: Mapping[int, float], tested: int = 0) -> PairedTest:
    """Student's paired t-test of ``first - second`` over their common seeds.

    With few seeds the differences of two accuracies can come out equal by luck, since they are whole numbers of test rows;
    their standard deviation is then 0 and any difference looks certain. So the standard error is at least what the test
    rows alone leave open: a mean difference ``d`` needs a share of at least ``|d|`` of rows on which the arms disagree, whose
    sampling variance is ``(|d| - d^2) / (tested * seeds)``.

    Args:
        first: scores of 0..1 by seed.
        second: scores of 0..1 by seed.
        tested: test rows of each score; 0 leaves the bound out.

    Returns:
        Mean, interval and p. With one common seed there is neither interval nor doubt to be had: p is 1.

    References:
        Student (1908), The probable error of a mean.
    """
    from scipy import stats

    seeds = sorted(set(first) & set(second))
    differences = [first[seed] - second[seed] for seed in seeds]
    d = abs(float(np.mean(differences))) if seeds else 0.0
    floor = float(np.sqrt(max(d - d * d, 0.0) / (tested * len(seeds)))) if tested and seeds else 0.0
    interval = mean_interval(differences, floor)
    _, error, count = _moments(differences, floor)
    if count < 2 or interval.mean == 0:
        p = 1.0
    elif error == 0:
        p = 0.0
    else:
        p = float(2 * stats.t.sf(abs(interval.mean) / error, count - 1))
    return PairedTest(mean=interval.mean, low=interval.low, high=interval.high, seeds=count, p=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of one family of tests by Holm's step-down method.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none may be smaller than one before
    it. Rejecting where the adjusted value is below 0.05 keeps the chance of any false finding below 5 %.

    Args:
        p_values: of the tests, in any order.

    Returns:
        Adjusted values in the same order, at most 1.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index])
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min((count - rank) * p_values[index], 1.0))
        adjusted[index] = largest
    return adjusted


def _moments(values: Sequence[float], floor: float) -> tuple[float, float, int]:
    """Mean, standard error and number of values."""
    count = len(values)
    if not count:
        return float("nan"), 0.0, 0
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    if error < 1e-12:  # equal values, up to rounding
        error = 0.0
    return mean, max(error, floor), count


def _t_quantile(freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
