"""Reaches the recurrent layers in a backbone, for sequences of tokens and of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.tokens import ENCODER, find_stages
from kptk.types import Tensor


@dataclass(frozen=True, slots=True)
class SequenceStages:
    """The parts of a backbone that reads sequences. The models are the backbone's own, not copies.

    Args:
        embed: from tokens to vectors, None for sequences of numbers.
        encoder: from vectors and a mask to states.
        segments: whether the input has a second channel, of segments.
        vocabulary: how many tokens, 0 for numbers.
        width: length of the vectors that the encoder reads.
        units: length of a state.
    """

    embed: keras.Model | None
    encoder: keras.Model
    segments: bool
    vocabulary: int
    width: int
    units: int

    def read(self, inputs: Tensor, training: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of the steps, where there are steps, and what the objective is to predict: tokens, or the numbers.

        Args:
            inputs: as the backbone takes them.
            training: whether dropout is on.
        """
        if self.embed is None:
            return inputs, ops.ones_like(inputs[:, :, 0], dtype="bool"), inputs
        ids = inputs[:, 0] if self.segments else inputs
        return self.embed(inputs, training=training), ops.not_equal(ids, 0), ids


def sequence_stages(backbone: keras.Model) -> SequenceStages:
    """Find the parts.

    Args:
        backbone: such as ``lstm`` or ``gru``.

    Raises:
        UsageError: if it is not made of them.
    """
    found = find_stages(backbone)
    if found is not None:
        width, units = (int(model.output_shape[-1]) for model in (found.embed, found.encoder))
        return SequenceStages(found.embed, found.encoder, found.segments, found.vocabulary, width, units)
    encoder = next(
        (layer for layer in backbone.layers if layer.name == ENCODER and isinstance(layer, keras.Model)), None
    )
    if encoder is None or len(backbone.input_shape) != 3:
        raise UsageError(
            f"`backbone` must read sequences from left to right: hold a model '{ENCODER}' of vectors and a mask. Received: "
            f"'{backbone.name}'. Use --backbone lstm or gru."
        )
    return SequenceStages(None, encoder, False, 0, int(backbone.input_shape[-1]), int(encoder.output_shape[-1]))
