"""LP-FT: the linear probe first, then all weights from there; what the encoder is worth as a starting point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source, Subset
from kptk.training.features import Encoder, extract_with, pooled
from kptk.training.feeding import steady
from kptk.training.fresh_gradients import FreshGradients
from kptk.training.probes import Labels, linear_head
from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score
from kptk.training.robustness import folded
from kptk.training.stream import batches
from kptk.types import Tensor

STEPS = 300
BATCH = 32
RATES = (1e-3, 3e-4)


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy on the test rows after fine-tuning; of the raw inputs there is no network to tune.

    Args:
        frozen: the encoder's features.
        options: none counts.
    """
    del options
    if frozen.encoder is None:
        return
    fit, held = _divided(frozen.train_labels, frozen.seed)
    head = linear_head(frozen.train[fit], frozen.train_labels[fit], frozen.seed)
    best: tuple[float, NDArray[np.bool_], float] | None = None
    for rate in RATES:
        keras.utils.set_random_seed(frozen.seed)
        tuned = Tuned(frozen.encoder, folded(head, frozen.classes))
        _train(tuned, Subset(frozen.train_part, fit, "to tune on"), rate, frozen.seed)
        chosen = _accuracy(tuned, Subset(frozen.train_part, held, "to choose by")) if len(held) else 0.0
        if best is None or chosen > best[0]:
            best = (chosen, _predicted(tuned, frozen.test_part) == frozen.test_labels, rate)
    assert best is not None
    yield frozen.score(
        "lp-ft",
        float(best[1].mean()),
        interval.of_mean(best[1], frozen.seed),
        words=f"linear probe, then all weights: Adam, {STEPS} steps of {min(BATCH, len(fit))}, learning rate {best[2]:g} of "
        f"{' and '.join(f'{rate:g}' for rate in RATES)}, chosen on {len(held):,} of the labelled rows",
    )


def _divided(labels: Labels, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to tune on and rows to choose the learning rate by; none of the latter where a class has fewer than five."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    if np.bincount(labels)[np.unique(labels)].min() < 5:
        return rows, rows[:0]
    fit, held = train_test_split(rows, test_size=0.2, stratify=labels, random_state=seed)
    return np.sort(fit), np.sort(held)


class Tuned(FreshGradients, keras.Model):
    """A copy of an encoder with a linear head; the encoder itself stays as it is.

    Args:
        encoder: the network behind its preprocessor.
        head: weights and bias of the head on the encoder's features.
    """

    def __init__(self, encoder: Encoder, head: Sequence[NDArray[Any]]) -> None:
        super().__init__()
        config = keras.saving.serialize_keras_object(encoder.backbone)
        self.backbone = keras.saving.deserialize_keras_object(config)
        self.backbone.set_weights(encoder.backbone.get_weights())
        self.preprocessor = encoder.preprocessor
        self.head = keras.layers.Dense(head[0].shape[1], dtype="float32", name="head")
        self.head.build((None, head[0].shape[0]))
        self.head.set_weights(list(head))
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Logits of raw inputs, shape ``(batch, classes)``."""
        if self.preprocessor is not None:
            inputs = self.preprocessor.plain(inputs)
        return self.head(ops.cast(pooled(self.backbone(inputs, training=training)), "float32"))


def _train(tuned: Tuned, rows: Source, rate: float, seed: int) -> None:
    tuned.compile(
        optimizer=keras.optimizers.Adam(rate), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    stream = batches(rows, min(BATCH, len(rows)), seed, 0, STEPS, labels=True)
    try:
        tuned.fit(steady(stream), steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False)
    finally:
        stream.close()  # type: ignore[attr-defined]


def _predicted(tuned: Tuned, rows: Source) -> Labels:
    return np.asarray(extract_with(tuned.predict_on_batch, rows).argmax(axis=-1))


def _accuracy(tuned: Tuned, rows: Source) -> float:
    return float((_predicted(tuned, rows) == rows.labels).mean())
