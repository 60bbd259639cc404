"""kNN and linear probes: how well frozen features tell classes apart, on labelled data of its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import HOW_TO_LABEL, Source, Subset
from kptk.errors import InputError
from kptk.training import backend
from kptk.training.features import Encoder, extract

Features = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

NEIGHBOURS = 20
VOTE_TEMPERATURE = 0.07
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation strengths among which the linear probe chooses, on validation data."""


def knn_accuracy(
    train: Features, train_labels: Labels, test: Features, test_labels: Labels, k: int = NEIGHBOURS
) -> float:
    """Accuracy of the weighted nearest-neighbour vote on cosine similarity.

    Each of the `k` nearest training rows votes for its class with weight ``exp(cosine / 0.07)``.

    Args:
        train: features that vote, shape ``(rows, dim)``.
        train_labels: their classes.
        test: features to classify.
        test_labels: their classes.
        k: neighbours; at most the number of training rows.

    Returns:
        A share of 0..1.

    References:
        https://arxiv.org/abs/1805.01978
    """
    return float((knn_predictions(train, train_labels, test, k) == test_labels).mean())


def knn_predictions(train: Features, train_labels: Labels, test: Features, k: int = NEIGHBOURS) -> Labels:
    """Classes that the vote of `knn_accuracy` gives.

    Args:
        train: features that vote, shape ``(rows, dim)``.
        train_labels: their classes.
        test: features to classify.
        k: neighbours; at most the number of training rows.

    Returns:
        A class for each row of `test`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    vote = KNeighborsClassifier(
        n_neighbors=min(k, len(train)),
        metric="cosine",
        # The distance is 1 - cosine; the constant factor exp(1 / t) leaves the vote as it is.
        weights=lambda distance: np.exp(-distance / VOTE_TEMPERATURE),
    )
    return np.asarray(vote.fit(train, train_labels).predict(test))


def linear_head(train: Features, train_labels: Labels, seed: int = 0) -> Any:
    """Fit logistic regression on standardised features; its strength is chosen on a part of the training rows.

    Args:
        train: features to learn from, shape ``(rows, dim)``.
        train_labels: their classes.
        seed: of the validation split.

    Returns:
        A scikit-learn pipeline of a `StandardScaler` and a `LogisticRegression`.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    train = scaler.transform(train)
    strength = 1.0
    if np.bincount(train_labels)[np.unique(train_labels)].min() >= 5:
        fit, validation, fit_labels, validation_labels = train_test_split(
            train, train_labels, test_size=0.2, stratify=train_labels, random_state=seed
        )
        scores = [_logistic(fit, fit_labels, c).score(validation, validation_labels) for c in STRENGTHS]
        strength = STRENGTHS[int(np.argmax(scores))]
    return make_pipeline(scaler, _logistic(train, train_labels, strength))


def linear_accuracy(train: Features, train_labels: Labels, test: Features, test_labels: Labels, seed: int = 0) -> float:
    """Accuracy of `linear_head`.

    Args:
        train: features to learn from, shape ``(rows, dim)``.
        train_labels: their classes.
        test: features to classify; never used to choose anything.
        test_labels: their classes.
        seed: of the validation split.

    Returns:
        A share of 0..1.
    """
    return float(linear_head(train, train_labels, seed).score(test, test_labels))


def _logistic(features: Features, labels: Labels, strength: float) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A probe that stops at 300 iterations is what the protocol says; it need not be the optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=300).fit(features, labels)


def labelled_split(source: Source, seed: int, limit: int = 0) -> tuple[Source, Source]:
    """Split labelled data into the rows that a probe learns from and those it is tested on.

    A data set with a test part of its own keeps it; otherwise half of each class is drawn by the seed.

    Args:
        source: labelled data.
        seed: of the draw.
        limit: rows used at most in each part; 0 for all.

    Returns:
        Training and test rows.

    Raises:
        InputError: if there are no labels, or too few of a class.
    """
    source = with_labels(source)
    check_labels(source)
    holdout = source.holdout()
    if holdout is not None and holdout.labels is not None:
        return at_most(source, limit, seed), at_most(with_labels(holdout), limit, seed)
    from sklearn.model_selection import train_test_split

    assert source.labels is not None
    rows = np.arange(len(source))
    if limit and 2 * limit < len(source):
        rows = _stratified(source.labels, 2 * limit, seed)
    train, test = train_test_split(rows, test_size=0.5, stratify=source.labels[rows], random_state=seed)
    return Subset(source, train, f"half, seed {seed}"), Subset(source, test, f"other half, seed {seed}")


def with_labels(source: Source) -> Source:
    """The rows that have a label; -1 says that a row has none.

    Args:
        source: any data.
    """
    if source.labels is None or (source.labels >= 0).all():
        return source
    return Subset(source, np.flatnonzero(source.labels >= 0), "those with a label")


def check_labels(source: Source) -> None:
    """Refuse data on which a probe means nothing.

    Args:
        source: what is to be labelled data.

    Raises:
        InputError: if there are no labels, one class, or a class with a single row.
    """
    if source.labels is None:
        raise InputError(f"{source.describe()}: a probe needs labels. {HOW_TO_LABEL}")
    counts = np.bincount(source.labels, minlength=len(source.class_names))
    used = np.flatnonzero(counts)
    if len(used) < 2:
        raise InputError(f"{source.describe()}: all rows have one class, so there is nothing to tell apart.")
    if counts[used].min() < 2:
        lonely = source.class_names[int(used[counts[used].argmin()])]
        raise InputError(
            f"{source.describe()}: class '{lonely}' has one row; a probe needs at least two of each class, one to learn "
            "from and one to test on."
        )


def at_most(source: Source, limit: int, seed: int) -> Source:
    """Leave out rows of labelled data, by class.

    Args:
        source: labelled data.
        limit: rows kept at most; 0 for all.
        seed: of the draw.
    """
    if not limit or limit >= len(source):
        return source
    assert source.labels is not None
    return Subset(source, _stratified(source.labels, limit, seed), f"{limit:,} by class, seed {seed}")


def _stratified(labels: Labels, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.model_selection import train_test_split

    count = max(count, 2 * len(np.unique(labels)))
    if count >= len(labels) - len(np.unique(labels)):
        return np.arange(len(labels))
    rows, _ = train_test_split(np.arange(len(labels)), train_size=count, stratify=labels, random_state=seed)
    return np.sort(rows)


class ProbeCallback(keras.callbacks.Callback):
    """Adds the kNN accuracy on separate labelled data to the logs, after every few epochs.

    The encoder never learns from these labels, and is in inference mode. Half of the rows vote, half are classified
    (or the data set's own split).

    Args:
        source: labelled data, not the data of the pre-training.
        every: epochs between checks.
        seed: of the split.
        limit: rows of each half at most.
    """

    def __init__(self, source: Source, *, every: int = 1, seed: int = 0, limit: int = 1000) -> None:
        super().__init__()
        self.every = every
        self._encoder: Encoder | None = None
        self.train_part, self.test_part = labelled_split(source, seed, limit)

    def measure(self) -> float:
        """Compute the accuracy now."""
        backend.sync_state(self.model)
        if self._encoder is None:
            self._encoder = Encoder(self.model.backbone, self.model.views)
        train = extract(self._encoder, self.train_part)
        test = extract(self._encoder, self.test_part)
        if not (np.isfinite(train).all() and np.isfinite(test).all()):
            return float("nan")
        assert self.train_part.labels is not None and self.test_part.labels is not None
        return knn_accuracy(train, self.train_part.labels, test, self.test_part.labels)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add ``knn_accuracy`` to the epoch's logs."""
        if logs is not None and (epoch + 1) % self.every == 0:
            logs["knn_accuracy"] = self.measure()
