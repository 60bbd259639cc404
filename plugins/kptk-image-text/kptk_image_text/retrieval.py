"""Recall at k between pictures and captions, with what chance would give beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.training.protocols import interval

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How often a search finds what belongs to the query.

    Args:
        direction: ``"image to text"`` or ``"text to image"``.
        k: how many answers are looked at.
        value: share of the queries with a right one among them.
        low: lower end of its 95 % interval, from queries drawn anew.
        high: upper end.
        chance: what an order at random would give.
        queries: how many.
        candidates: how many are ranked.
    """

    direction: str
    k: int
    value: float
    low: float
    high: float
    chance: float
    queries: int
    candidates: int

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return asdict(self)


def right_answers(captions: Sequence[str]) -> NDArray[np.bool_]:
    """Which captions are right for which pictures: a picture's own, and every other that says the same.

    Args:
        captions: one for each picture.

    Returns:
        Shape ``(pictures, captions)``.
    """
    _, numbers = np.unique(np.array(captions, dtype=object).astype(str), return_inverse=True)
    return np.asarray(numbers[:, None] == numbers[None, :])


def ranks(scores: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place of the best right answer of each query, from 1; wrong ones of the same score stand before it.

    So a model that gives everything one score finds nothing.

    Args:
        scores: shape ``(queries, candidates)``, larger for better.
        right: which candidates are right, the same shape; at least one a query.

    Returns:
        Shape ``(queries,)``.

    Example:
        >>> ranks(np.array([[0.9, 0.1], [0.5, 0.5]]), np.eye(2, dtype=bool)).tolist()
        [1, 2]
    """
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(1 + (~right & (scores >= best)).sum(axis=1))


def chance(right: NDArray[np.bool_], k: int) -> float:
    """Recall at `k` of an order at random: the mean of ``1 - C(N - m, k) / C(N, k)`` over queries with m right of N.

    Args:
        right: which candidates are right, shape ``(queries, candidates)``.
        k: how many answers are looked at.

    Example:
        >>> round(chance(np.eye(10, dtype=bool), 5), 6)
        0.5
    """
    candidates = right.shape[1]
    wrong = candidates - right.sum(axis=1).astype(np.float64)
    missed = np.ones_like(wrong)
    for place in range(min(k, candidates)):
        missed *= np.maximum(wrong - place, 0.0) / (candidates - place)
    return float((1.0 - missed).mean())


def recalls(scores: NDArray[np.floating[Any]], captions: Sequence[str], seed: int = 0) -> list[Recall]:
    """Recall at 1, 5 and 10 in both directions.

    Args:
        scores: of each picture with each caption, shape ``(rows, rows)``.
        captions: one for each picture.
        seed: of the resampling for the intervals.
    """
    right = right_answers(captions)
    found = []
    for direction, table, answers in (("image to text", scores, right), ("text to image", scores.T, right.T)):
        places = ranks(table, answers)
        for k in DEPTHS:
            if k > len(captions):
                break
            hits = places <= k
            low, high = interval.of_mean(hits, seed)
            found.append(
                Recall(
                    direction=direction,
                    k=k,
                    value=float(hits.mean()),
                    low=low,
                    high=high,
                    chance=chance(answers, k),
                    queries=len(hits),
                    candidates=table.shape[1],
                )
            )
    return found
