"""What a table preprocessor learns of each column, in one pass over the training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, Column
from kptk.data import Source
from kptk_tables.dates import date_parts

BLOCK = 8192
"""Rows read at a time."""
SAMPLE = 100_000
"""Rows of which quantiles are taken: all if there are no more, else a seeded sample."""


@dataclass(slots=True)
class Numbers:
    """Moments and extremes of all rows, and the values of a sample, of one column of numbers; NaN does not count.

    Args:
        count: known numbers so far.
        mean: of them.
        squares: sum of their squared distances from the mean.
        lowest: of them.
        highest: of them.
        missing: NaN so far.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    lowest: float = np.inf
    highest: float = -np.inf
    missing: int = 0
    _sample: list[NDArray[np.float64]] = field(default_factory=list)

    def update(self, values: NDArray[np.float64], sampled: NDArray[np.bool_]) -> None:
        """Add some rows.

        Args:
            values: their numbers.
            sampled: which of them belong to the sample.
        """
        self._sample.append(values[sampled])
        known = values[np.isfinite(values)]
        self.missing += len(values) - len(known)
        if not len(known):
            return
        # Chan's formula: moments of two parts together, without the loss of digits of a sum of squares.
        mean, total = float(known.mean()), self.count + len(known)
        gap = mean - self.mean
        self.squares += float(((known - mean) ** 2).sum()) + gap**2 * self.count * len(known) / total
        self.mean += gap * len(known) / total
        self.count = total
        self.lowest = min(self.lowest, float(known.min()))
        self.highest = max(self.highest, float(known.max()))

    @property
    def variance(self) -> float:
        """Of the known numbers, divided by their count."""
        return self.squares / self.count if self.count else 0.0

    @property
    def sample(self) -> NDArray[np.float64]:
        """Values of the sampled rows."""
        return np.concatenate(self._sample) if self._sample else np.empty(0)

    def quantile(self, level: float) -> float:
        """A quantile of the sample.

        Args:
            level: 0 to 1.
        """
        known = self.sample[np.isfinite(self.sample)]
        return float(np.quantile(known, level)) if len(known) else 0.0


@dataclass(slots=True)
class Names:
    """Counts of the names of one column, in the order in which they first appear.

    Args:
        counts: rows of each name.
        missing: rows without one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    missing: int = 0

    def update(self, cells: Sequence[Any]) -> None:
        """Add some rows.

        Args:
            cells: names, None for missing.
        """
        counts = Counter(cells)
        self.missing += counts.pop(None, 0)
        self.counts.update(counts)


Learned = dict[str, Any]
"""What was learned of the columns, by name; a date has one `Numbers` for each part, ``"when:days"``."""


def learn(source: Source, columns: Sequence[Column], seed: int) -> Learned:
    """Look at every training row once.

    Args:
        source: the rows.
        columns: what its columns are.
        seed: of the sample.
    """
    learned: Learned = {}
    for column in columns:
        if column.kind in (NUMBER, FLAG):
            learned[column.name] = Numbers()
        elif column.kind == CATEGORY:
            learned[column.name] = Names()
    for cells, sampled in _blocks(source, seed):
        for place, column in enumerate(columns):
            values = cells[:, place]
            if column.kind in (NUMBER, FLAG):
                learned[column.name].update(values.astype(np.float64), sampled)
            elif column.kind == CATEGORY:
                learned[column.name].update(values.tolist())
            elif column.kind == DATE:
                for part, numbers in date_parts(values).items():
                    learned.setdefault(f"{column.name}:{part}", Numbers()).update(numbers, sampled)
    return learned


def _blocks(source: Source, seed: int) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    rows = len(source)
    chosen = None
    if rows > SAMPLE:
        chosen = np.sort(np.random.default_rng([seed, 23]).choice(rows, SAMPLE, replace=False))
    for start in range(0, rows, BLOCK):
        stop = min(start + BLOCK, rows)
        sampled = np.ones(stop - start, dtype=bool)
        if chosen is not None:
            sampled[:] = False
            sampled[chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, stop)] - start] = True
        yield source.read(np.arange(start, stop)), sampled
