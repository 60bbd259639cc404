"""Models that bring out the vectors behind a similarity."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.two_sides import SIDES
from kptk.types import Tensor


class PairEmbedder(keras.Model):
    """From pairs to the embeddings of both sides, in inference mode: what is scored.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__(name=f"{whole.name}_pairs")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Embeddings of length 1, shape ``(batch, 2, dim)``."""
        return self.whole(inputs, training=False)


class Embedder(keras.Model):
    """From single inputs to their embeddings, in inference mode: what a search is made of.

    The network takes pairs, so neighbours in the batch go through it as pairs; each side is read by itself.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__(name=f"{whole.name}_embedder")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Embeddings of length 1, shape ``(batch, dim)``; the batch must be even."""
        inputs = ops.convert_to_tensor(inputs)
        pairs = ops.reshape(inputs, (-1, SIDES, *ops.shape(inputs)[1:]))
        found = self.whole(pairs, training=False)
        return ops.reshape(found, (-1, found.shape[-1]))
