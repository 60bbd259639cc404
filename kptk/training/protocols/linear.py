"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

from collections.abc import Iterator

from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy of the probe on the test rows.

    Args:
        frozen: the encoder's features.
        options: none counts.
    """
    del options
    right = frozen.head.predict(frozen.test) == frozen.test_labels
    yield frozen.score(
        "linear",
        float(right.mean()),
        interval.of_mean(right, frozen.seed),
        words="logistic regression on standardised features, its strength chosen on a fifth of the labelled rows",
    )
