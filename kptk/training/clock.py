"""`Clock`: where a run stands, for teachers and temperatures that change in the course of it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.types import Tensor


@keras.saving.register_keras_serializable(package="kptk")
class Clock(keras.layers.Layer):
    """Counts training steps, inside the model: schedules are exact after a resume and the same on every backend.

    An objective that needs one makes it in ``__init__``, reads `share` or `cosine` in its loss, and calls `advance` in
    `Pretrainer.update_state`. `Pretrainer.fit` and ``kptk train`` tell it how many steps there will be.

    Args:
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> clock = Clock()
        >>> clock.set_total(100)
        >>> float(clock.cosine(0.99, 1.0))
        0.99...
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "clock")
        super().__init__(**kwargs)
        # float32: exact up to 16 million steps, and every backend can compute with it where int64 cannot be. No autocast:
        # a mixed policy would read the step in 16 bits, which count to 256.
        kind = {"shape": (), "initializer": "zeros", "trainable": False, "dtype": "float32", "autocast": False}
        self.step = self.add_weight(**kind, name="step")
        self.total = self.add_weight(**kind, name="total")
        self.built = True

    def set_total(self, steps: int) -> None:
        """Say how many steps there will be, those already done included.

        Args:
            steps: at least 1.
        """
        self.total.assign(float(steps))

    def advance(self) -> None:
        """Count one step."""
        self.step.assign(self.step + 1.0)

    def share(self, until: float = 1.0) -> Tensor:
        """How much of the run is done, 0 to 1; 0 while the number of steps is not known.

        Args:
            until: share of the run after which this stays 1, above 0.
        """
        return ops.clip(self.step / (until * ops.maximum(self.total, 1.0)), 0.0, 1.0) * ops.cast(
            self.total > 0, "float32"
        )

    def cosine(self, start: float, end: float) -> Tensor:
        """A value that goes from `start` to `end` along half a cosine over the run.

        Args:
            start: value at the first step, and for ever while the number of steps is not known.
            end: value at the last step.
        """
        return end - (end - start) * 0.5 * (1.0 + ops.cos(math.pi * self.share()))
