"""`kptk evaluate`: kNN and linear probe of a run, beside a random encoder and the raw inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.training.encoder import TrainedEncoder, raw_features
from kptk.training.features import extract
from kptk.training.probes import NEIGHBOURS, Score, knn_accuracy, labelled_split, linear_accuracy
from kptk.training.reporter import Reporter

PROTOCOLS = ("knn", "linear")
ENCODERS = ("run", "random", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores with where they come from.

    Args:
        run: the run folder.
        data: description of the labelled data.
        scores: one for each protocol and encoder.
    """

    run: str
    data: str
    scores: tuple[Score, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {"run": self.run, "data": self.data, "results": [score.to_dict() for score in self.scores]}


def evaluate(
    run: str | Path,
    data: str,
    *,
    k: int = NEIGHBOURS,
    seed: int = 0,
    limit: int = 5000,
    protocols: Sequence[str] = PROTOCOLS,
    on_bad_input: str | None = None,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Judge a run on labelled data.

    A data set with a test part of its own keeps it; otherwise half of each class is drawn by the seed. Nothing is
    chosen on test rows.

    Args:
        run: the run folder.
        data: labelled data, a path or a name.
        k: neighbours of the kNN vote.
        seed: of the split, the random encoder and the probe's validation part.
        limit: rows used at most in each part, drawn by class; 0 for all.
        protocols: which probes to make, of ``"knn"`` and ``"linear"``.
        on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
        plugins: the registry; a new one if None.
        reporter: shows progress.

    Returns:
        The scores of the run, of a random encoder and of the raw inputs.

    Raises:
        InputError: if the data has no labels, or too few.
    """
    if k < 1:
        raise UsageError(f"`k` must be at least 1. Received: {k}.")
    encoder = TrainedEncoder(run, plugins)
    train, test = labelled_split(encoder.open(data, on_bad_input=on_bad_input), seed, limit)
    if train.class_names != test.class_names:
        raise InputError(
            f"the classes differ between {train.describe()} ({', '.join(train.class_names)}) and its test part "
            f"({', '.join(test.class_names)})."
        )
    if k > len(train):
        raise UsageError(f"`k` must be at most the number of training rows, {len(train):,}. Received: {k}.")
    features: dict[str, Callable[[Source], Any]] = {
        "run": _extractor(encoder.run()),
        "random": _extractor(encoder.random(seed)),
        "raw": raw_features,
    }
    reporter = reporter or Reporter()
    scores = []
    with reporter.progress("Evaluating", len(ENCODERS) * len(protocols)) as advance:
        for name in ENCODERS:
            train_features, test_features = features[name](train), features[name](test)
            if not (np.isfinite(train_features).all() and np.isfinite(test_features).all()):
                raise InputError(f"the features of encoder '{name}' are not finite; the run of {run} diverged.")
            for protocol in protocols:
                scores.append(_score(protocol, name, train_features, train, test_features, test, k, seed))
                advance(len(scores), f"{name} {protocol}")
    return Evaluation(run=str(run), data=f"train {train.describe()}; test {test.describe()}", scores=tuple(scores))


def _extractor(encoder: Any) -> Callable[[Source], Any]:
    return lambda source: extract(encoder, source)


def _score(
    protocol: str,
    encoder: str,
    train: Any,
    train_part: Source,
    test: Any,
    test_part: Source,
    k: int,
    seed: int,
) -> Score:
    labels, test_labels = train_part.labels, test_part.labels
    assert labels is not None and test_labels is not None
    if protocol == "knn":
        value = knn_accuracy(train, labels, test, test_labels, k)
    else:
        value = linear_accuracy(train, labels, test, test_labels, seed)
    return Score(
        protocol=protocol,
        encoder=encoder,
        value=value,
        k=k if protocol == "knn" else None,
        train=len(labels),
        test=len(test_labels),
        seed=seed,
    )
