"""Paired tests over seeds against SciPy and statistics by hand, and planted cases without and with a difference."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training.paired import holm, mean_interval, paired_test


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(np.asarray(values, float)))


def test_interval_and_p_are_scipys() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    for count in (2, 3, 5, 10, 30):
        first, second = rng.normal(0.8, 0.05, count), rng.normal(0.75, 0.05, count)
        ours = paired_test(by_seed(first), by_seed(second))
        theirs = stats.ttest_rel(first, second)
        low, high = theirs.confidence_interval(0.95)
        assert (ours.mean, ours.low, ours.high) == pytest.approx(((first - second).mean(), low, high), abs=1e-12)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
        assert ours.seeds == count


def test_holm_is_the_papers() -> None:
    # Worked by hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then made monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_lies_between_nothing_and_bonferroni() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        p = rng.uniform(size=rng.integers(1, 12)) ** 3
        adjusted = np.array(holm(p))
        assert (adjusted >= p).all()
        assert (adjusted <= np.minimum(p * len(p), 1) + 1e-12).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_one_seed_has_no_interval_and_no_certainty() -> None:
    single = paired_test({3: 0.9}, {3: 0.5})
    assert (single.mean, single.low, single.high, single.p, single.seeds) == (0.4, 0.4, 0.4, 1.0, 1)
    assert paired_test({1: 0.9}, {2: 0.5}).seeds == 0


def test_equal_arms_differ_by_nothing() -> None:
    same = paired_test(by_seed([0.5, 0.6, 0.7]), by_seed([0.5, 0.6, 0.7]), tested=100)
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_equal_differences_by_luck_are_no_certainty() -> None:
    """Two seeds that both differ by one row of a hundred: Student alone would be sure."""
    first, second = by_seed([0.51, 0.71]), by_seed([0.50, 0.70])
    assert paired_test(first, second).p < 1e-6
    bounded = paired_test(first, second, tested=100)
    assert bounded.p > 0.2
    assert bounded.low < 0 < bounded.high
    # The bound by hand: sqrt((d - d^2) / (rows * seeds)).
    error = np.sqrt((0.01 - 0.0001) / 200)
    assert (bounded.high - bounded.mean) / 12.706204736 == pytest.approx(error, rel=1e-6)


def test_the_bound_does_not_touch_ordinary_differences() -> None:
    rng = np.random.default_rng(2)
    first, second = by_seed(rng.normal(0.8, 0.02, 5)), by_seed(rng.normal(0.75, 0.02, 5))
    assert paired_test(first, second, tested=2000) == paired_test(first, second)


def test_intervals_of_means() -> None:
    interval = mean_interval([0.1, 0.2, 0.3])
    assert interval.mean == pytest.approx(0.2)
    assert interval.high - interval.mean == pytest.approx(4.302652729911275 * 0.1 / np.sqrt(3))
    assert mean_interval([0.4]).low == 0.4
    assert np.isnan(mean_interval([]).mean)


@pytest.mark.parametrize(("seeds", "tested"), [(2, 50), (3, 100), (5, 500), (10, 2000)])
def test_planted_equal_arms_are_rarely_told_apart(seeds: int, tested: int) -> None:
    """Arms of the same accuracy on the same rows, scores being whole numbers of rows: a false finding in 5 % at most."""
    rng = np.random.default_rng(3)
    repeats, found = 1500, 0
    for _ in range(repeats):
        difficulty = np.clip(rng.normal(0.9, 0.03, seeds), 0, 1)
        # Rows that both get right or wrong, and a tenth on which chance decides.
        common = rng.binomial(int(tested * 0.9), difficulty)
        first, second = (by_seed((common + rng.binomial(tested // 10, 0.5, seeds)) / tested) for _ in range(2))
        found += paired_test(first, second, tested).p < 0.05
    assert found / repeats <= 0.062


def test_a_planted_gain_is_found() -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(200):
        difficulty = rng.normal(0.7, 0.05, 5)
        first, second = (
            by_seed(difficulty + 0.06 + rng.normal(0, 0.015, 5)),
            by_seed(difficulty + rng.normal(0, 0.015, 5)),
        )
        found += paired_test(first, second, 500).p < 0.05
    assert found > 180
