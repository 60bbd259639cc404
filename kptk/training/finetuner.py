"""One compiled classifier for many small trainings: from scratch, from pre-trained weights, with and without augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training import checkpoint
from kptk.training.backbones import feature_dim
from kptk.training.experiment import Draw, Outcome
from kptk.training.features import in_batches, pooled
from kptk.training.feeding import steady
from kptk.training.fresh_gradients import FreshGradients
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor

Array = NDArray[Any]
BATCH = 32


class Classifier(FreshGradients, keras.Model):
    """A backbone with a linear head; in training, on augmented rows if told so.

    Args:
        backbone: the network.
        classes: number of classes.
        preprocessor: prepares raw rows.
        augment: whether a training step sees the first of the preprocessor's random views.
    """

    def __init__(self, backbone: keras.Model, classes: int, preprocessor: Preprocessor, *, augment: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.head = keras.layers.Dense(classes, name="head")
        self.head.build((None, feature_dim(backbone)))
        self.augment = augment
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Logits, shape ``(batch, classes)``."""
        prepared = self.preprocessor(inputs)[0] if training and self.augment else self.preprocessor.plain(inputs)
        return self.head(pooled(self.backbone(prepared, training=training)))


@dataclass(slots=True)
class FineTuner:
    """One compiled classifier that is reset for each use, so that nothing is compiled twice.

    Args:
        model: the classifier.
        rates: learning rates among which every arm chooses on validation rows.
    """

    model: Classifier
    rates: Sequence[float] = (1e-3, 3e-4)
    _fresh: checkpoint.State = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.compile(
            optimizer=keras.optimizers.Adam(self.rates[0]),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self._fresh = checkpoint.capture(self.model)

    def best(self, data: Draw, start: Callable[[], None], steps: int) -> Outcome:
        """Train once with each learning rate and keep the best on the validation rows.

        Args:
            data: the draw.
            start: writes the weights to begin with.
            steps: training steps.
        """
        outcomes = []
        for rate in self.rates:
            checkpoint.restore(self.model, self._fresh)
            self._draw(data.seed)
            start()
            self.model.optimizer.learning_rate.assign(rate)
            stream = _stream(data)
            self.model.fit(steady(stream), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)
            stream.close()  # type: ignore[attr-defined]
            outcomes.append(
                Outcome(
                    validation=self._accuracy(*data.validation),
                    test=self._accuracy(*data.test),
                    chosen=f"learning rate {rate:g}",
                )
            )
        return max(outcomes, key=lambda outcome: outcome.validation)

    def _draw(self, seed: int) -> None:
        """Draw the head, and restart every random layer, from the seed: not from how the process began."""
        keras.utils.set_random_seed(seed)  # PyTorch's dropout draws from the process' own generator
        kernel, bias = self.model.head.get_weights()
        fresh = keras.initializers.GlorotUniform(seed=seed)(kernel.shape)
        self.model.head.set_weights([keras.ops.convert_to_numpy(fresh), np.zeros_like(bias)])
        states = [v for v in self.model.non_trainable_variables if v.name.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            state.assign(np.array([seed, index], state.dtype))

    def set_backbone(self, weights: Sequence[Array]) -> None:
        """Write the backbone's weights."""
        self.model.backbone.set_weights(weights)

    def set_head(self, kernel: Array, bias: Array) -> None:
        """Write the head's weights."""
        self.model.head.set_weights([kernel, bias])

    def _accuracy(self, x: Array, y: Array) -> float:
        return float((in_batches(self.model.predict_on_batch, x).argmax(axis=-1) == y).mean())


def _stream(data: Draw) -> Iterator[tuple[Array, Array]]:
    """Batches of one size, drawn with replacement from the labelled rows."""
    generator = np.random.default_rng([data.seed, data.labels_per_class, 5])
    while True:
        rows = generator.integers(0, len(data.x), BATCH)
        yield data.x[rows], data.y[rows]
