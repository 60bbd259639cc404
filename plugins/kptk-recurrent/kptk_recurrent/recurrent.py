"""Recurrent language model: each step of a sequence from those before it."""

from __future__ import annotations

import keras

from kptk.types import Tensor
from kptk_recurrent.recurrent_pretrainer import RecurrentPretrainer
from kptk_recurrent.sequence_stages import sequence_stages


@keras.saving.register_keras_serializable(package="kptk_recurrent")
class Recurrent(RecurrentPretrainer):
    """Reads a sequence and predicts the next step after each.

    Every step gives a gradient, so the network learns to keep what it needs over short distances first and longer ones then,
    where a label at the end would have to reach back over the whole sequence at once.

    Example:
        >>> import kptk
        >>> model = Recurrent(kptk.backbone("lstm", input_shape=(64,), vocabulary=1000))

    References:
        https://arxiv.org/abs/1511.01432, section 2
    """

    def predict_steps(self, inputs: Tensor, training: bool) -> dict[str, Tensor]:
        """Step t + 1 from the state after step t."""
        found = sequence_stages(self.backbone)
        vectors, mask, wanted = found.read(inputs, training)
        states = found.encoder([vectors, mask], training=training)
        return {"predicted": self.output_layer(states[:, :-1]), "wanted": wanted[:, 1:], "mask": mask[:, 1:]}
