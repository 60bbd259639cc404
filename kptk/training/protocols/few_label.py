"""Few-label probe: what a handful of labels of each class gives, over several draws of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.training.probes import Features, Labels
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score

LENGTH = 10.0
"""Length that centred features are scaled to, which suits a fixed regularisation of 1."""


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy on the test rows for each number of labels, the mean over the draws.

    Args:
        frozen: the encoder's features.
        options: `labels_per_class` and `draws` count.
    """
    centre = frozen.train.mean(axis=0)
    train, test = scaled(frozen.train, centre), scaled(frozen.test, centre)
    for count in options.labels_per_class:
        right = []
        for draw in range(options.draws):
            rows = drawn(frozen.train_labels, count, [frozen.seed, draw])
            probe = _probe().fit(train[rows], frozen.train_labels[rows])
            right.append(probe.predict(test) == frozen.test_labels)
        yield frozen.score(
            "few-label",
            float(np.mean(right)),
            interval.of_draws(np.array(right), frozen.seed),
            labels_per_class=count,
            draws=options.draws,
            train=count * len(np.unique(frozen.train_labels)),
            words="logistic regression (C = 1) on features centred on all rows to learn from and scaled to length "
            f"{LENGTH:g}; mean over {options.draws} draws of the labels, the same for every encoder",
        )


def _probe() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)


def scaled(features: Features, centre: NDArray[Any]) -> Features:
    """Features moved to a centre and scaled to one length: `centre` needs no labels, so it is known however few there are.

    Args:
        features: shape ``(rows, dim)``.
        centre: shape ``(dim,)``.
    """
    moved = features - centre
    return LENGTH * moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)


def drawn(labels: Labels, count: int, seed: list[int]) -> NDArray[np.int64]:
    """Draw rows of each class; fewer rows are a part of more rows of the same seed.

    Args:
        labels: class of each row.
        count: rows of each class.
        seed: of the draw.
    """
    parts = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        parts.append(np.random.default_rng([*seed, 31, int(label)]).permutation(own)[:count])
    return np.concatenate(parts)


def check(labels: Labels, class_names: tuple[str, ...], options: Options) -> None:
    """Refuse numbers of labels that the data does not have.

    Args:
        labels: of the rows to learn from.
        class_names: names of the classes.
        options: `labels_per_class` and `draws` count.

    Raises:
        UsageError: if a class has fewer rows than are asked for.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    used = np.flatnonzero(counts)
    smallest = int(used[counts[used].argmin()])
    for count in options.labels_per_class:
        if count < 1:
            raise UsageError(f"`labels_per_class` must be at least 1. Received: {count}.")
        if count > counts[smallest]:
            raise UsageError(
                f"`labels_per_class` must be at most the rows to learn from of the smallest class: '{class_names[smallest]}' "
                f"has {counts[smallest]:,}. Received: {count}. Ask for fewer, or raise --limit."
            )
    if options.draws < 1:
        raise UsageError(f"`draws` must be at least 1. Received: {options.draws}.")
