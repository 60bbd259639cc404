"""`kptk evaluate`: kNN and linear probe of a run, beside a random encoder and the raw inputs, also under attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.training.encoder import TrainedEncoder, raw_features
from kptk.training.features import Encoder, extract
from kptk.training.probes import NEIGHBOURS, Score, knn_accuracy, labelled_split, linear_head
from kptk.training.reporter import Reporter
from kptk.training.robustness import accuracy_under_attack, check_epsilons, check_images, victim_of

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
    epsilons: Sequence[float] = (),
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
        epsilons: largest changes of a pixel for which to attack the linear probe (PGD, maximum norm, 20 steps from a
            random start, at most 1,000 test rows), beside its accuracy without an attack on the same rows; empty for no
            attack. Images only.
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
    check_epsilons(epsilons)
    encoder = TrainedEncoder(run, plugins)
    train, test = labelled_split(encoder.open(data, on_bad_input=on_bad_input), seed, limit)
    if train.class_names != test.class_names:
        raise InputError(
            f"the classes differ between {train.describe()} ({', '.join(train.class_names)}) and its test part "
            f"({', '.join(test.class_names)})."
        )
    if k > len(train):
        raise UsageError(f"`k` must be at most the number of training rows, {len(train):,}. Received: {k}.")
    if epsilons:
        check_images(test)
    networks = {"run": encoder.run(), "random": encoder.random(seed), "raw": None}
    reporter = reporter or Reporter()
    scores: list[Score] = []
    attacks = (0.0, *epsilons) if epsilons else ()
    with reporter.progress("Evaluating", len(ENCODERS) * (len(protocols) + len(attacks))) as advance:
        for name in ENCODERS:
            network = networks[name]
            read = _raw(encoder.preprocessor(), train) if network is None else _extractor(network)
            probe = _Probe(name, read(train), train, read(test), test, seed)
            if not (np.isfinite(probe.train).all() and np.isfinite(probe.test).all()):
                raise InputError(f"the features of encoder '{name}' are not finite; the run of {run} diverged.")
            for protocol in protocols:
                scores.append(probe.knn(k) if protocol == "knn" else probe.linear())
                advance(len(scores), f"{name} {protocol}")
            for epsilon in attacks:
                scores.append(probe.attacked(network, epsilon))
                advance(len(scores), f"{name} PGD {epsilon:g}")
    return Evaluation(run=str(run), data=f"train {train.describe()}; test {test.describe()}", scores=tuple(scores))


def _raw(preprocessor: Any, train: Source) -> Callable[[Source], Any]:
    return raw_features if preprocessor is None else lambda source: preprocessor.raw_features(train, source)


def _extractor(encoder: Encoder) -> Callable[[Source], Any]:
    return lambda source: extract(encoder, source)


class _Probe:
    """The features of one encoder, and the scores that are made of them; the linear head is fitted once."""

    def __init__(self, name: str, train: Any, train_part: Source, test: Any, test_part: Source, seed: int) -> None:
        assert train_part.labels is not None and test_part.labels is not None
        self.name, self.seed = name, seed
        self.train, self.train_labels = train, train_part.labels
        self.test, self.test_labels, self.test_part = test, test_part.labels, test_part

    @cached_property
    def head(self) -> Any:
        """The linear probe."""
        return linear_head(self.train, self.train_labels, self.seed)

    def knn(self, k: int) -> Score:
        """The vote of the nearest neighbours."""
        value = knn_accuracy(self.train, self.train_labels, self.test, self.test_labels, k)
        return self._score("knn", value, len(self.test), k=k)

    def linear(self) -> Score:
        """The linear probe."""
        return self._score("linear", float(self.head.score(self.test, self.test_labels)), len(self.test))

    def attacked(self, network: Encoder | None, epsilon: float) -> Score:
        """The linear probe under attack."""
        victim, images, labels = self._victim(network)
        value = accuracy_under_attack(victim, images, labels, epsilon, seed=self.seed)
        return self._score("pgd", value, len(labels), epsilon=epsilon)

    def _victim(self, network: Encoder | None) -> Any:
        if not hasattr(self, "_made"):
            self._made = victim_of(network, self.test_part, self.head, self.seed)
        return self._made

    def _score(self, protocol: str, value: float, rows: int, **more: Any) -> Score:
        return Score(
            protocol=protocol,
            encoder=self.name,
            value=value,
            k=more.get("k"),
            train=len(self.train_labels),
            test=rows,
            seed=self.seed,
            epsilon=more.get("epsilon"),
        )
