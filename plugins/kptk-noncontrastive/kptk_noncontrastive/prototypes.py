"""The last layer of DINO's head."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class Prototypes(keras.layers.Layer):
    """Cosine similarity to learned prototypes, all of unit length.

    Always in float32: a small temperature divides what comes out, and 16 bits leave too little of it.

    Args:
        count: number of prototypes.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> tuple(Prototypes(7)(np.ones((2, 3), "float32")).shape)
        (2, 7)
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.count = count

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the prototypes, one a row."""
        self.prototypes = self.add_weight(
            shape=(self.count, input_shape[-1]), initializer="random_normal", name="prototypes"
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Similarities, shape ``(batch, count)``."""
        return ops.matmul(unit_length(inputs), ops.transpose(unit_length(self.prototypes)))

    def get_config(self) -> dict[str, Any]:
        """Return the number of prototypes."""
        return {**super().get_config(), "count": self.count}
