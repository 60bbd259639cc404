"""Alignment and uniformity on the unit sphere: are like things near, and is the room used?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.training.probes import Features, Labels
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score

ROWS = 1000
SAME = 1e-6


def alignment(first: Features, second: Features, alpha: float = 2.0) -> float:
    """Mean distance of the two members of a pair, to the power of `alpha`; 0 is best.

    Args:
        first: unit vectors, shape ``(pairs, dim)``.
        second: their partners.
        alpha: power of the distance, above 0.

    References:
        https://arxiv.org/abs/2005.10242, section 4.1.2
    """
    return float(np.mean(np.linalg.norm(first - second, axis=1) ** alpha))


def uniformity(features: Features, t: float = 2.0) -> float:
    """Logarithm of the mean Gaussian potential of all pairs; lower is more even, 0 is a single point.

    Args:
        features: unit vectors, shape ``(rows, dim)``, at least 2 rows.
        t: sharpness of the potential, above 0.

    References:
        https://arxiv.org/abs/2005.10242, section 4.1.2
    """
    from scipy.spatial.distance import pdist

    return float(np.log(np.exp(-t * pdist(features, "sqeuclidean")).mean()))


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Both figures of at most 1,000 test rows.

    Args:
        frozen: the encoder's features.
        options: none counts.
    """
    del options
    count = len(frozen.test)
    rows = np.arange(count)
    if count > ROWS:
        rows = np.sort(np.random.default_rng([frozen.seed, 53]).choice(count, ROWS, replace=False))
    first, second, pairs = _pairs(frozen, rows)
    apart = np.sum((first - second) ** 2, axis=1)
    yield frozen.score(
        "alignment",
        alignment(first, second),
        interval.of_mean(apart, frozen.seed),
        metric="alignment",
        train=0,
        test=len(first),
        words=f"mean squared distance of {len(first):,} pairs of unit-length features: {pairs}; 0 is best",
    )
    points = _unit(frozen.test[rows])
    even = uniformity(points)
    yield frozen.score(
        "alignment",
        even,
        interval.of_halves(lambda half: uniformity(points[half]), len(points), even, frozen.seed),
        metric="uniformity",
        train=0,
        test=len(points),
        words=f"log of the mean of exp(-2 squared distance) over all pairs of {len(points):,} unit-length features; "
        "lower is more even; the interval by halves of the rows",
    )


def _pairs(frozen: Frozen, rows: NDArray[np.int64]) -> tuple[Features, Features, str]:
    """Features of two views of each row; of rows of one class where nothing makes views."""
    drawn = _views(frozen, rows)
    if drawn is not None:
        first, second = (_unit(frozen.embed(view)) for view in drawn)
        return first, second, "two random views of a test row by the run's own preprocessor"
    partners = same_class(frozen.test_labels[rows], frozen.seed)
    known = partners >= 0
    features = _unit(frozen.test[rows])
    return features[known], features[partners[known]], "a test row and another of its class"


def _views(frozen: Frozen, rows: NDArray[np.int64]) -> tuple[Any, Any] | None:
    if frozen.views is None:
        return None
    first, second = frozen.views(frozen.test_part.read(rows))
    if first.shape != second.shape or np.abs(first - second).max() < SAME:
        return None
    return first, second


def same_class(labels: Labels, seed: int) -> NDArray[np.int64]:
    """For each row another one of its class, -1 where there is none.

    Args:
        labels: class of each row.
        seed: of the pairing.
    """
    rng = np.random.default_rng([seed, 59])
    partners = np.full(len(labels), -1)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        if len(own) > 1:
            partners[own] = np.roll(own, 1)
    return partners


def _unit(features: Features) -> Features:
    exact = features.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
