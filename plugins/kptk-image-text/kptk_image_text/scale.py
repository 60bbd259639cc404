"""`LearnedScale`: the factor of the cosines, learned as its logarithm and kept below 100."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.types import Tensor

LARGEST = 100.0


@keras.saving.register_keras_serializable(package="kptk_image_text")
class AtMost(keras.constraints.Constraint):
    """Cuts a weight at a bound after each step.

    Args:
        bound: the largest value.
    """

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def __call__(self, weight: Tensor) -> Tensor:
        """The weight, cut."""
        return ops.minimum(weight, self.bound)

    def get_config(self) -> dict[str, Any]:
        """Return the bound."""
        return {"bound": self.bound}


@keras.saving.register_keras_serializable(package="kptk_image_text")
class LearnedScale(keras.layers.Layer):
    """A positive factor, and a summand if it has a start.

    Both weights are called ``bias``, since weight decay must leave them alone.

    Args:
        start: first value of the factor, above 0.
        summand: first value of the summand; None for no summand.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/2103.00020, section 2.5; https://arxiv.org/abs/2303.15343, section 3.2
    """

    def __init__(self, start: float, summand: float | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.start = start
        self.summand = summand
        self.logarithm = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(start)),
            constraint=AtMost(math.log(LARGEST)),
            autocast=False,
            name="log_scale_bias",
        )
        self.bias = None
        if summand is not None:
            self.bias = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(summand), autocast=False, name="bias"
            )
        self.built = True

    def factor(self) -> Tensor:
        """The factor."""
        return ops.exp(ops.convert_to_tensor(self.logarithm))

    def get_config(self) -> dict[str, Any]:
        """Return the first values."""
        return {**super().get_config(), "start": self.start, "summand": self.summand}
