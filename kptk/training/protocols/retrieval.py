"""Retrieval: does a search by features find rows of the same class?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.training.probes import Features
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score

QUERIES = 1000
DEPTHS = (1, 5, 10)


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Mean average precision and recall at 1, 5 and 10: test rows ask, the labelled rows to learn from answer.

    Args:
        frozen: the encoder's features.
        options: none counts.
    """
    del options
    asked = np.arange(len(frozen.test))
    if len(asked) > QUERIES:
        asked = np.sort(np.random.default_rng([frozen.seed, 47]).choice(len(asked), QUERIES, replace=False))
    relevant = ranked_relevance(frozen.test[asked], frozen.test_labels[asked], frozen.train, frozen.train_labels)
    known = relevant.any(axis=1)  # a class that nothing was kept of cannot be found
    relevant = relevant[known]
    words = f"{len(relevant):,} test rows ask, {len(frozen.train):,} labelled rows are ranked by cosine"
    precision = average_precision(relevant)
    yield frozen.score(
        "retrieval",
        float(precision.mean()),
        interval.of_mean(precision, frozen.seed),
        metric="mAP",
        test=len(relevant),
        words=f"mean average precision of the whole ranking; {words}",
    )
    for depth in DEPTHS:
        if depth > relevant.shape[1]:
            break
        found = np.asarray(relevant[:, :depth].any(axis=1))
        yield frozen.score(
            "retrieval",
            float(found.mean()),
            interval.of_mean(found, frozen.seed),
            metric=f"recall@{depth}",
            test=len(relevant),
            words=f"share of queries with a row of their class among the first {depth}; {words}",
        )


def ranked_relevance(
    queries: Features, query_labels: NDArray[Any], gallery: Features, gallery_labels: NDArray[Any]
) -> NDArray[np.bool_]:
    """Whether each row of the gallery has the class of the query, nearest first by cosine.

    Args:
        queries: shape ``(queries, dim)``.
        query_labels: their classes.
        gallery: shape ``(rows, dim)``.
        gallery_labels: their classes.

    Returns:
        Shape ``(queries, rows)``.
    """
    cosine = _unit(queries) @ _unit(gallery).T
    order = np.argsort(-cosine, axis=1, kind="stable")
    return np.asarray(gallery_labels[order] == query_labels[:, None])


def average_precision(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of the precision at each relevant place of a ranking.

    It equals scikit-learn's `average_precision_score` of each query where no two scores are equal, in one pass.

    Args:
        relevant: shape ``(queries, rows)``, nearest first, with at least one relevant row each.

    Returns:
        Shape ``(queries,)``.
    """
    hits = np.cumsum(relevant, axis=1)
    precision = hits / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * relevant).sum(axis=1) / hits[:, -1], dtype=np.float64)


def _unit(features: Features) -> Features:
    exact = features.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
