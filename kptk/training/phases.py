"""Phases of a fine-tuning: which weights train, for how long and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import keras

from kptk.types import Tensor

if TYPE_CHECKING:
    from kptk.training.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a fine-tuning in which one set of weights trains.

    Args:
        name: such as ``"head"``.
        weights: the variables that train; every other one keeps its bits.
        share: how much of the epochs it gets, against the other phases' shares.
        rate: factor on the learning rate.
        live: whether the backbone runs in training mode, with dropout and batch statistics. If not, its moving
            statistics keep their bits too.
        cached: whether the features do not change in this phase, so that they are computed once.
    """

    name: str
    weights: tuple[Any, ...]
    share: float = 1.0
    rate: float = 1.0
    live: bool = False
    cached: bool = False


def split_epochs(phases: Sequence[Phase], epochs: int) -> list[int]:
    """Deal whole epochs out to phases by their shares, at least one to each.

    Args:
        phases: the phases.
        epochs: epochs in all; raised to one a phase if fewer.

    Returns:
        Epochs of each phase.

    Example:
        >>> split_epochs([Phase(name="a", weights=(), share=1), Phase(name="b", weights=(), share=2)], 9)
        [3, 6]
    """
    epochs = max(epochs, len(phases))
    total = sum(phase.share for phase in phases)
    ends, passed = [0], 0.0
    for index, phase in enumerate(phases):
        passed += phase.share
        left = len(phases) - index - 1
        end = round(epochs * passed / total)
        ends.append(min(max(end, ends[-1] + 1), epochs - left))
    return [stop - start for start, stop in pairwise(ends)]


class Head(keras.Model):
    """The head of a fine-tuned model alone: what trains in a phase with cached features.

    It holds the whole model, so that a checkpoint of it is one of the whole.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Strategy) -> None:
        super().__init__(name=f"{whole.name}_head")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Outputs of the task for features."""
        return self.whole.task(inputs, training=training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of the whole model."""
        return self.whole.compute_loss(x, y, y_pred, sample_weight, training)


class Featuriser(keras.Model):
    """Raw inputs to the features that the head takes, in inference mode.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Strategy) -> None:
        super().__init__(name=f"{whole.name}_features")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Features of raw inputs."""
        return self.whole.encode(self.whole.prepare(inputs, False), False)


class Predictor(keras.Model):
    """Raw inputs to predictions, in inference mode: what is evaluated and exported.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Strategy) -> None:
        super().__init__(name=f"{whole.name}_predictor")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Predictions, such as probabilities."""
        return self.whole.predictions(inputs)
