"""Corruptions: what is left of the linear probe when images are noisy, blurred or badly lit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kptk.training.corrupt import corrupt
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy on clean images, under each corruption, and the mean over the corruptions.

    Args:
        frozen: the encoder's features.
        options: `corruptions` and `severity` count.
    """
    _, images, labels = frozen.victim
    facts = {"test": len(labels), "severity": options.severity}
    words = f"linear probe; severity {options.severity} of 5 of CIFAR-10-C's and ImageNet-C's tables"
    clean = frozen.head.predict(frozen.embed(images)) == labels
    yield frozen.score(
        "corruptions",
        float(clean.mean()),
        interval.of_mean(clean, frozen.seed),
        corruption="none",
        test=len(labels),
        severity=0,
        words="linear probe on the same images as they are",
    )
    rights = []
    for name in options.corruptions:
        changed = corrupt(images, name, options.severity, seed=frozen.seed)
        right = frozen.head.predict(frozen.embed(changed)) == labels
        rights.append(right)
        yield frozen.score(
            "corruptions",
            float(right.mean()),
            interval.of_mean(right, frozen.seed),
            corruption=name,
            words=words,
            **facts,
        )
    if len(rights) > 1:
        by_row = np.mean(rights, axis=0)
        yield frozen.score(
            "corruptions",
            float(by_row.mean()),
            interval.of_mean(by_row, frozen.seed),
            corruption="mean",
            words=f"mean over {len(rights)} corruptions; {words}",
            **facts,
        )
