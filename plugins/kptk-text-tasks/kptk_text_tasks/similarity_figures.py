"""Figures of pairs: how well cosines follow scores, and how well a search finds the other side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DEPTHS = (1, 5, 10)
QUERIES_AT_ONCE = 1024


def correlations(scores: Array, cosines: Array) -> dict[str, float]:
    """Pearson's and Spearman's correlation; 0 where all scores or all cosines are equal.

    Args:
        scores: of people, shape ``(rows,)``.
        cosines: of the model, shape ``(rows,)``.

    Example:
        >>> correlations(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.4]))["spearman"]
        1.0
    """
    from scipy.stats import pearsonr, spearmanr

    scores, cosines = (np.asarray(values, dtype=np.float64) for values in (scores, cosines))
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(cosines) == 0:
        return {"spearman": 0.0, "pearson": 0.0}
    found = {
        "spearman": float(spearmanr(scores, cosines).statistic),
        "pearson": float(pearsonr(scores, cosines).statistic),
    }
    return {name: value if np.isfinite(value) else 0.0 for name, value in found.items()}


def places(embeddings: Array, numbers: Array) -> NDArray[np.int64]:
    """Where a search finds what belongs to it, for each different first side among all different second sides.

    Wrong answers of the same cosine stand before a right one, so a model that gives everything one vector finds nothing. The
    very input that asks is not among the answers.

    Args:
        embeddings: of length 1, shape ``(rows, 2, dim)``.
        numbers: which input each side is, shape ``(rows, 2)``.

    Returns:
        The place of the best right answer of each query, from 1, shape ``(queries,)``.
    """
    asked, first = np.unique(numbers[:, 0], return_index=True)
    offered, second = np.unique(numbers[:, 1], return_index=True)
    answers = embeddings[second, 1]
    column = np.searchsorted(offered, numbers[:, 1])
    row = np.searchsorted(asked, numbers[:, 0])
    found = []
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        stop = min(start + QUERIES_AT_ONCE, len(asked))
        cosine = embeddings[first[start:stop], 0] @ answers.T
        right = np.zeros(cosine.shape, dtype=bool)
        mine = (row >= start) & (row < stop)
        right[row[mine] - start, column[mine]] = True
        wrong = ~right & (asked[start:stop, None] != offered[None, :])
        best = np.where(right, cosine, -np.inf).max(axis=1, keepdims=True)
        found.append(1 + (wrong & (cosine >= best)).sum(axis=1))
    return np.concatenate(found)


def search_figures(embeddings: Array, numbers: Array) -> dict[str, float]:
    """Mean reciprocal rank, and the share of queries with a right answer among the first 1, 5 and 10.

    Args:
        embeddings: of length 1, shape ``(rows, 2, dim)``.
        numbers: which input each side is, shape ``(rows, 2)``.

    References:
        Voorhees 1999, https://trec.nist.gov/pubs/trec8/papers/qa_report.pdf (mean reciprocal rank)
    """
    found = places(embeddings, numbers)
    figures = {"mrr": float(np.mean(1.0 / found))}
    return figures | {f"recall@{depth}": float(np.mean(found <= depth)) for depth in DEPTHS}
