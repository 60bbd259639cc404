"""`kptk evaluate`: judges an encoder by several protocols, beside a random encoder and the raw inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptk import settings
from kptk.data import Source
from kptk.errors import InputError, UsageError, did_you_mean
from kptk.parts import Choice
from kptk.plugins import Plugins
from kptk.training.encoder import TrainedEncoder, raw_features
from kptk.training.features import Encoder, extract
from kptk.training.health import finite_weights
from kptk.training.overlap import Overlap, overlap
from kptk.training.probes import NEIGHBOURS, labelled_split
from kptk.training.protocols import MEASURES, Frozen, Options, Score, few_label
from kptk.training.reporter import Reporter
from kptk.training.robustness import check_epsilons, check_images

ENCODERS = ("run", "random", "raw")
BATCH = 250
IMAGES_ONLY = ("corruptions", "pgd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores with where they come from.

    Args:
        run: the run folder or file.
        data: description of the labelled data.
        scores: for each encoder and protocol, in this order.
        overlap: rows that are exact copies of others.
        remarks: what has to be known to read the scores.
    """

    run: str
    data: str
    scores: tuple[Score, ...]
    overlap: Overlap
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {
            "run": self.run,
            "data": self.data,
            "results": [score.to_dict() for score in self.scores],
            "overlap": self.overlap.to_dict(),
            "remarks": list(self.remarks),
        }


def evaluate(
    run: str | Path,
    data: str,
    *,
    k: int = NEIGHBOURS,
    seed: int = 0,
    limit: int = 5000,
    protocols: Sequence[str] = settings.QUICK_PROTOCOLS,
    labels_per_class: Sequence[int] | None = None,
    draws: int = 5,
    epsilons: Sequence[float] = (),
    corruptions: Sequence[str] = settings.CORRUPTIONS,
    severity: int = 3,
    on_bad_input: str | None = None,
    data_options: Mapping[str, str] | None = None,
    part: str = "",
    fraction: float = 1.0,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Judge an encoder on labelled data.

    A data set with a test part of its own keeps it; otherwise half of each class is drawn by the seed. Nothing is
    chosen on test rows. Each figure has a 95 % interval.

    Args:
        run: a run folder, or a ``.keras`` file that holds a backbone.
        data: labelled data, a path or a name.
        k: neighbours of the kNN vote.
        seed: of the split, the draws, the random encoder and the probe's validation part.
        limit: rows used at most in each part, drawn by class; 0 for all.
        protocols: which ones, of `kptk.settings.PROTOCOLS`; ``"all"`` is one of them for all that the rows allow.
        labels_per_class: labelled rows of each class of the few-label probe; 1, 5 and 10 if None, as far as there are.
        draws: how often those are drawn.
        epsilons: largest changes of a pixel for which to attack the linear probe (PGD, maximum norm, 20 steps from a
            random start, at most 1,000 test rows), beside its accuracy without an attack on the same rows. Images only.
        corruptions: what is done to the images, of `kptk.settings.CORRUPTIONS`.
        severity: how strongly, 1 to 5.
        on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
        data_options: options of the reader as texts, such as ``{"label": "income"}``; others are as the run had them.
        part: only this part of the data, see `kptk.parts.part_of`; it is then split in half, like data without a test part.
        fraction: share of the rows that are no test part, the same of each class.
        plugins: the registry; a new one if None.
        reporter: shows progress.

    Returns:
        The scores of the run, of a random encoder and of the raw inputs.

    Raises:
        InputError: if the data has no labels, or too few, or the run diverged.
        UsageError: if an option asks for what the data does not have.
    """
    chosen = _chosen(protocols, epsilons)
    options = Options(
        k=k,
        epsilons=tuple(epsilons) or settings.EPSILONS,
        labels_per_class=tuple(labels_per_class or settings.LABELS_PER_CLASS),
        draws=draws,
        corruptions=tuple(corruptions),
        severity=severity,
    )
    _check(options)
    encoder = TrainedEncoder(run, plugins)
    if not finite_weights(encoder.backbone):
        raise InputError(f"weights of {run} are not finite; the run diverged, so there is nothing to judge.")
    choice = Choice(part=part, fraction=fraction, seed=seed)
    source = encoder.open(data, on_bad_input=on_bad_input, options=data_options, choice=choice)
    train, test = labelled_split(source, seed, limit)
    _check_parts(train, test, options)
    if "all" in protocols and test.inputs != "image":
        chosen = [name for name in chosen if name not in IMAGES_ONLY]
    if set(chosen) & set(IMAGES_ONLY):
        check_images(test)
    if "few-label" in chosen:
        options = _with_labels(options, train, asked=labels_per_class is not None)
    reporter = reporter or Reporter()
    found = overlap(train, test, encoder.pretraining_rows if encoder.config is not None else None)
    remarks = found.sentences(len(train), len(test))
    for remark in remarks:
        reporter.line(remark)
    networks = {"run": encoder.run(), "random": encoder.random(seed), "raw": None}
    scores: list[Score] = []
    done = 0
    with reporter.progress("Evaluating", len(ENCODERS) * len(chosen)) as advance:
        for name in ENCODERS:
            network = networks[name]
            read = _raw(encoder.preprocessor(), train) if network is None else _extractor(network)
            features = [read(part) for part in (train, test)]
            if not all(np.isfinite(part).all() for part in features):
                raise InputError(f"the features of encoder '{name}' are not finite; the run of {run} diverged.")
            frozen = Frozen(
                name,
                network,
                train_part=train,
                test_part=test,
                train=features[0],
                test=features[1],
                seed=seed,
                views=_views(encoder, seed),
            )
            for protocol in chosen:
                scores += MEASURES[protocol](frozen, options)
                done += 1
                advance(done, f"{name} {protocol}")
    return Evaluation(
        run=str(run),
        data=f"train {train.describe()}; test {test.describe()}",
        scores=tuple(scores),
        overlap=found,
        remarks=tuple(remarks),
    )


def _chosen(protocols: Sequence[str], epsilons: Sequence[float]) -> list[str]:
    for name in protocols:
        if name not in (*settings.PROTOCOLS, "all"):
            hint = did_you_mean(name, settings.PROTOCOLS) or f"There is: {', '.join(settings.PROTOCOLS)}, all."
            raise UsageError(f"no protocol called '{name}'. {hint}")
    wanted = set(settings.PROTOCOLS if "all" in protocols else protocols) | ({"pgd"} if epsilons else set())
    if not wanted:
        raise UsageError("`protocols` must name at least one.")
    return [name for name in MEASURES if name in wanted]


def _check(options: Options) -> None:
    if options.k < 1:
        raise UsageError(f"`k` must be at least 1. Received: {options.k}.")
    check_epsilons(options.epsilons)
    if not 1 <= options.severity <= 5:
        raise UsageError(f"`severity` must be 1 to 5. Received: {options.severity}.")
    for name in options.corruptions:
        if name not in settings.CORRUPTIONS:
            hint = did_you_mean(name, settings.CORRUPTIONS) or f"There is: {', '.join(settings.CORRUPTIONS)}."
            raise UsageError(f"no corruption called '{name}'. {hint}")


def _check_parts(train: Source, test: Source, options: Options) -> None:
    if train.class_names != test.class_names:
        raise InputError(
            f"the classes differ between {train.describe()} ({', '.join(train.class_names)}) and its test part "
            f"({', '.join(test.class_names)}). Both parts need the same classes."
        )
    if options.k > len(train):
        raise UsageError(f"`k` must be at most the number of training rows, {len(train):,}. Received: {options.k}.")


def _with_labels(options: Options, train: Source, *, asked: bool) -> Options:
    """Refuse numbers of labels that were asked for and are not there; leave out defaults that are not."""
    assert train.labels is not None
    if not asked:
        counts = np.bincount(train.labels)
        least = int(counts[counts > 0].min())
        options = replace(options, labels_per_class=tuple(n for n in options.labels_per_class if n <= least))
    few_label.check(train.labels, train.class_names, options)
    return options


def _raw(preprocessor: Any, train: Source) -> Callable[[Source], Any]:
    return raw_features if preprocessor is None else lambda source: preprocessor.raw_features(train, source)


def _extractor(encoder: Encoder) -> Callable[[Source], Any]:
    return lambda source: extract(encoder, source)


def _views(encoder: TrainedEncoder, seed: int) -> Callable[[Any], tuple[Any, Any]] | None:
    """Two random views of raw rows by the run's own preprocessor, the same for every encoder."""
    # Views of prepared texts or tables are no inputs that the raw control could be compared on.
    known = encoder.config is not None and encoder.fitted is None
    layer = encoder.preprocessor(views=2, seed=seed) if known else None
    if layer is None:
        return None

    def draw(rows: Any) -> tuple[Any, Any]:
        parts = [layer(rows[start : start + BATCH])[:2] for start in range(0, len(rows), BATCH)]
        first, second = (np.concatenate([keras.ops.convert_to_numpy(part[view]) for part in parts]) for view in (0, 1))
        return first, second

    return draw
