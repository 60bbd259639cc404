"""The arms of a few-label comparison: controls, from scratch, frozen probe, LP-FT and plain fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training.experiment import Arm, Draw, Outcome
from kptk.training.features import Encoder
from kptk.training.finetuner import Classifier, FineTuner, in_batches
from kptk.training.preprocessor import Preprocessor

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the arms of a few-label comparison share.

    Args:
        build: makes a fresh backbone.
        preprocessor: makes the views of pre-training, and the augmentation of the augmented baseline.
        pretrain: teaches a backbone on unlabelled rows, in place: ``pretrain(backbone, pool, seed)``.
        pretrain_steps: how many steps that takes; long baselines get them too.
        finetune_steps: steps on labelled rows.
        classes: number of classes.
        rates: learning rates of fine-tuning among which every arm chooses on validation rows.
    """

    build: Callable[[], keras.Model]
    preprocessor: Preprocessor
    pretrain: Callable[[keras.Model, Array, int], None]
    pretrain_steps: int
    finetune_steps: int
    classes: int
    rates: Sequence[float] = (1e-3, 3e-4)


SCRATCH = ("scratch", "scratch-long", "scratch-long-augmented")
PRETRAINED = ("lp-ft", "frozen")
NAMES = ("raw", "random", *SCRATCH, "full-ft", *PRETRAINED)


def make_arms(setup: Setup) -> dict[str, Arm]:
    """Build every arm around one network, compiled once.

    Args:
        setup: what they share.

    Returns:
        The arms by name, in the order of `NAMES`.
    """
    plain = FineTuner(Classifier(setup.build(), setup.classes, setup.preprocessor, augment=False), setup.rates)
    augmented = FineTuner(Classifier(setup.build(), setup.classes, setup.preprocessor, augment=True), setup.rates)
    encoder = Encoder(plain.model.backbone, setup.preprocessor)
    weights = _Weights(setup)
    long = setup.pretrain_steps + setup.finetune_steps

    def features(x: Array) -> Array:
        return in_batches(encoder.predict_on_batch, x)

    def frozen(start: Sequence[Array], data: Draw) -> Outcome:
        plain.set_backbone(start)
        return probe(features, data, centre=features(data.pool[:4096]).mean(axis=0))

    def raw(data: Draw) -> Outcome:
        def flat(x: Array) -> Array:
            return x.reshape(len(x), -1).astype("float32") / np.float32(255 if x.dtype.kind in "iu" else 1)

        return max(
            (probe(flat, data), probe(flat, data, centre=flat(data.pool[:4096]).mean(axis=0))),
            key=lambda outcome: outcome.validation,
        )

    def lp_ft(data: Draw) -> Outcome:
        start = weights.pretrained(data)
        plain.set_backbone(start)
        kernel, bias = head_on_features(features(data.x), data.y, setup.classes, data.seed)

        def begin() -> None:
            plain.set_backbone(start)
            plain.set_head(kernel, bias)

        return plain.best(data, begin, setup.finetune_steps - HEAD_STEPS)

    def tuned(tuner: FineTuner, start: Callable[[Draw], Sequence[Array]], steps: int) -> Arm:
        return lambda data: tuner.best(data, lambda: tuner.set_backbone(start(data)), steps)

    return {
        "raw": raw,
        "random": lambda data: frozen(weights.fresh(data), data),
        "scratch": tuned(plain, weights.fresh, setup.finetune_steps),
        "scratch-long": tuned(plain, weights.fresh, long),
        "scratch-long-augmented": tuned(augmented, weights.fresh, long),
        "full-ft": tuned(plain, weights.pretrained, setup.finetune_steps),
        "lp-ft": lp_ft,
        "frozen": lambda data: frozen(weights.pretrained(data), data),
    }


class _Weights:
    """Initial and pre-trained weights of the current seed, made once for all arms and numbers of labels."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._fresh: tuple[int, list[Array]] = (-1, [])
        self._pretrained: tuple[int, list[Array]] = (-1, [])

    def fresh(self, data: Draw) -> list[Array]:
        if self._fresh[0] != data.seed:
            keras.utils.set_random_seed(data.seed)
            self._fresh = (data.seed, self.setup.build().get_weights())
        return self._fresh[1]

    def pretrained(self, data: Draw) -> list[Array]:
        if self._pretrained[0] != data.seed:
            backbone = self.setup.build()
            backbone.set_weights(self.fresh(data))
            self.setup.pretrain(backbone, data.pool, data.seed)
            self._pretrained = (data.seed, backbone.get_weights())
        return self._pretrained[1]


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
