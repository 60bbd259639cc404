"""kNN: the weighted vote of the nearest labelled rows."""

from __future__ import annotations

from collections.abc import Iterator

from kptk.training.probes import VOTE_TEMPERATURE, knn_predictions
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy of the vote on the test rows.

    Args:
        frozen: the encoder's features.
        options: `k` counts.
    """
    right = knn_predictions(frozen.train, frozen.train_labels, frozen.test, options.k) == frozen.test_labels
    yield frozen.score(
        "knn",
        float(right.mean()),
        interval.of_mean(right, frozen.seed),
        k=options.k,
        words=f"{options.k} nearest labelled rows by cosine, votes weighted by exp(cosine / {VOTE_TEMPERATURE:g})",
    )
