"""The arms of a few-label comparison: controls, from scratch, frozen probe, LP-FT and plain fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training.backbones import reinitialised
from kptk.training.experiment import Arm, Draw, Outcome
from kptk.training.features import Encoder, in_batches
from kptk.training.finetuner import Classifier, FineTuner
from kptk.training.preprocessor import Preprocessor
from kptk.training.probes import NEIGHBOURS, knn_accuracy

Array = NDArray[Any]
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse regularisation of logistic regression, chosen on validation rows."""
HEAD_STEPS = 100


def probe(features: Callable[[Array], Array], data: Draw, *, centre: Array | None = None) -> Outcome:
    """Logistic regression on frozen features; its strength is chosen on the validation rows.

    Args:
        features: from rows to vectors.
        data: the draw.
        centre: mean of the unlabelled pool's features; if given, features are centred on it and scaled to length 10,
            which suits few labels better than standardising by a handful of rows.
    """
    from sklearn.linear_model import LogisticRegression

    def prepared(x: Array) -> Array:
        vectors = features(x)
        if centre is None:
            return vectors
        moved = vectors - centre
        return 10 * moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)

    train, validation, test = (prepared(x) for x in (data.x, data.validation[0], data.test[0]))
    outcomes = []
    for strength in STRENGTHS:
        fitted = LogisticRegression(C=strength, max_iter=2000).fit(train, data.y)
        outcomes.append(
            Outcome(
                validation=float(fitted.score(validation, data.validation[1])),
                test=float(fitted.score(test, data.test[1])),
                chosen=f"C {strength:g}",
            )
        )
    return max(outcomes, key=lambda outcome: outcome.validation)


Pretrain = Callable[[keras.Model, Draw], Mapping[str, float]]
"""Teaches a backbone on the pool of a draw, in place, and returns what is worth knowing of it (such as seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the arms of a few-label comparison share.

    Args:
        build: makes a fresh backbone.
        preprocessor: prepares rows; its first random view is the augmentation of the augmented baseline.
        pretrain_steps: steps of pre-training; long baselines get them too.
        finetune_steps: steps on labelled rows.
        classes: number of classes.
        rates: learning rates of fine-tuning among which every arm chooses on validation rows.
        raw: from prepared rows to vectors without any network; None flattens and scales them.
    """

    build: Callable[[], keras.Model]
    preprocessor: Preprocessor
    pretrain_steps: int
    finetune_steps: int
    classes: int
    rates: Sequence[float] = (1e-3, 3e-4)
    raw: Callable[[Array], Array] | None = None


SCRATCH = ("scratch", "scratch-long", "scratch-long-augmented")
CONTROLS = ("raw", "random", *SCRATCH)
PRETRAINED = ("lp-ft", "frozen")
NAMES = (*CONTROLS, "full-ft", *PRETRAINED)


class Bench:
    """Every arm around one network, compiled once; objectives are added one by one and share draws and initial weights.

    Args:
        setup: what the arms share.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.plain = FineTuner(Classifier(setup.build(), setup.classes, setup.preprocessor, augment=False), setup.rates)
        self.augmented = FineTuner(
            Classifier(setup.build(), setup.classes, setup.preprocessor, augment=True), setup.rates
        )
        self._encoder = Encoder(self.plain.model.backbone, setup.preprocessor)
        self._fresh: tuple[int, list[Array]] = (-1, [])

    def fresh(self, data: Draw) -> list[Array]:
        """Initial weights of the draw's seed, the same for every arm.

        Args:
            data: the draw.
        """
        if self._fresh[0] != data.seed:
            # Also of a backbone that is built with loaded weights: "random" and "scratch" mean what they say.
            self._fresh = (data.seed, reinitialised(self.setup.build(), data.seed).get_weights())
        return self._fresh[1]

    def controls(self) -> dict[str, Arm]:
        """The arms without pre-training: raw inputs, a random encoder, and three ways from scratch."""
        long = self.setup.pretrain_steps + self.setup.finetune_steps
        return {
            "raw": self._raw,
            "random": lambda data: self._frozen(self.fresh(data), data),
            "scratch": lambda data: self._tuned(self.plain, self.fresh, data, self.setup.finetune_steps),
            "scratch-long": lambda data: self._tuned(self.plain, self.fresh, data, long),
            "scratch-long-augmented": lambda data: self._tuned(self.augmented, self.fresh, data, long),
        }

    def transfers(self, pretrain: Pretrain, prefix: str = "", *, weights: Pretrained | None = None) -> dict[str, Arm]:
        """The arms of one objective: plain fine-tuning, LP-FT, frozen probe and kNN.

        Args:
            pretrain: teaches a backbone; called once a seed.
            prefix: put before each arm's name, ``"simclr/"``.
            weights: what it taught, if others use it too.
        """
        weights = weights or Pretrained(self, pretrain)
        steps = self.setup.finetune_steps

        def with_facts(arm: Callable[[Sequence[Array], Draw], Outcome]) -> Arm:
            return lambda data: replace(arm(weights.of(data), data), facts=weights.facts)

        return {
            f"{prefix}full-ft": with_facts(lambda start, data: self._tuned(self.plain, lambda _: start, data, steps)),
            f"{prefix}lp-ft": with_facts(self._lp_ft),
            f"{prefix}frozen": with_facts(self._frozen),
            f"{prefix}knn": with_facts(self._knn),
        }

    def features(self, x: Array) -> Array:
        """Features of rows by the plain classifier's backbone as it is now.

        Args:
            x: raw rows.
        """
        return in_batches(self._encoder.predict_on_batch, x)

    def _raw(self, data: Draw) -> Outcome:
        def flat(x: Array) -> Array:
            return x.reshape(len(x), -1).astype("float32") / np.float32(255 if x.dtype.kind in "iu" else 1)

        raw = self.setup.raw or flat
        return max(
            (probe(raw, data), probe(raw, data, centre=raw(data.pool[:4096]).mean(axis=0))),
            key=lambda outcome: outcome.validation,
        )

    def _tuned(self, tuner: FineTuner, start: Callable[[Draw], Sequence[Array]], data: Draw, steps: int) -> Outcome:
        return tuner.best(data, lambda: tuner.set_backbone(start(data)), steps)

    def _frozen(self, start: Sequence[Array], data: Draw) -> Outcome:
        self.plain.set_backbone(start)
        return probe(self.features, data, centre=self.features(data.pool[:4096]).mean(axis=0))

    def _knn(self, start: Sequence[Array], data: Draw) -> Outcome:
        self.plain.set_backbone(start)
        train = self.features(data.x)
        scores = [knn_accuracy(train, data.y, self.features(x), y) for x, y in (data.validation, data.test)]
        return Outcome(validation=scores[0], test=scores[1], chosen=f"k {min(NEIGHBOURS, len(train))}")

    def _lp_ft(self, start: Sequence[Array], data: Draw) -> Outcome:
        self.plain.set_backbone(start)
        kernel, bias = head_on_features(self.features(data.x), data.y, self.setup.classes, data.seed)

        def begin() -> None:
            self.plain.set_backbone(start)
            self.plain.set_head(kernel, bias)

        steps = self.setup.finetune_steps
        return self.plain.best(data, begin, steps - min(HEAD_STEPS, steps // 3))


class Pretrained:
    """Pre-trained weights of the current seed, made once for all arms and numbers of labels.

    Args:
        bench: around which network.
        pretrain: teaches a backbone.
    """

    def __init__(self, bench: Bench, pretrain: Pretrain) -> None:
        self.bench = bench
        self.pretrain = pretrain
        self.facts: dict[str, float] = {}
        self._weights: tuple[int, list[Array]] = (-1, [])

    def of(self, data: Draw) -> list[Array]:
        """Weights for a draw.

        Args:
            data: the draw.
        """
        if self._weights[0] != data.seed:
            keras.utils.set_random_seed(data.seed)  # the fresh weights of this seed, if the backbone has none loaded
            backbone = self.bench.setup.build()
            self.facts = dict(self.pretrain(backbone, data))
            self._weights = (data.seed, backbone.get_weights())
        return self._weights[1]


def make_arms(setup: Setup, pretrain: Pretrain) -> dict[str, Arm]:
    """Build every arm of a comparison with one objective.

    Args:
        setup: what they share.
        pretrain: teaches a backbone.

    Returns:
        The arms by name, in the order of `NAMES`.
    """
    bench = Bench(setup)
    arms = {**bench.controls(), **bench.transfers(pretrain)}
    return {name: arms[name] for name in NAMES}


def head_on_features(features: Array, y: Array, classes: int, seed: int) -> tuple[Array, Array]:
    """Train a linear head on frozen features: the first phase of LP-FT. Nothing else exists that could change.

    Args:
        features: shape ``(rows, dim)``.
        y: classes.
        classes: number of classes.
        seed: of the batches.

    Returns:
        Kernel ``(dim, classes)`` and bias ``(classes,)``.
    """
    from sklearn.linear_model import LogisticRegression

    # The head's own optimum is known exactly; with all classes present this is what the steps would approach.
    fitted = LogisticRegression(C=1.0, max_iter=HEAD_STEPS * 10, random_state=seed).fit(features, y)
    kernel = np.zeros((features.shape[1], classes), "float32")
    bias = np.full(classes, -10.0, "float32")  # a class without a row is never predicted
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn keeps one logit for two classes: split it
        coefficients, intercepts = (np.concatenate([-part, part]) / 2 for part in (coefficients, intercepts))
    for column, label in enumerate(fitted.classes_):
        kernel[:, label], bias[label] = coefficients[column], intercepts[column]
    return kernel, bias
