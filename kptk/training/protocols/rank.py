"""Effective rank (RankMe): how many directions the features use. It needs no labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kptk.training.health import entropy_rank
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score

QUICK = 256
"""Features longer than this are resampled less often: a decomposition costs the cube of the length."""


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Effective rank of the test rows' features.

    Args:
        frozen: the encoder's features.
        options: none counts.
    """
    del options
    features = frozen.test.astype(np.float64)
    most = min(features.shape)

    def rank(rows: NDArray[np.int64]) -> float:
        part = features[rows]
        # The eigenvalues of the smaller of the two products are the squares of the singular values.
        product = part.T @ part if part.shape[0] >= part.shape[1] else part @ part.T
        return entropy_rank(np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0.0)))

    value = rank(np.arange(len(features)))
    low, high = interval.of_halves(rank, len(features), value, frozen.seed, halves=100 if most <= QUICK else 20)
    yield frozen.score(
        "rank",
        value,
        (max(low, 1.0), min(high, float(most))),
        metric="effective_rank",
        train=0,
        words=f"RankMe of {len(features):,} test rows, of at most {most:,}; the interval by halves of the rows",
    )
