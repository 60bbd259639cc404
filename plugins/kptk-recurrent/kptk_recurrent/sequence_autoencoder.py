"""Sequence autoencoder: read a sequence, then say it again."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_recurrent.recurrent_pretrainer import RecurrentPretrainer
from kptk_recurrent.sequence_stages import sequence_stages


@keras.saving.register_keras_serializable(package="kptk_recurrent")
class SequenceAutoencoder(RecurrentPretrainer):
    """The network reads the whole sequence, gets a start sign, and predicts every step again from its state and the step before.

    One set of weights reads and writes, as in the paper.

    Args:
        backbone: ``lstm``, ``gru``, or another that reads from left to right.
        views: a preprocessor of texts that is fitted; None if `fit` gets what the backbone takes.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> model = SequenceAutoencoder(kptk.backbone("lstm", input_shape=(64,), vocabulary=1000))

    Raises:
        UsageError: if the backbone reads rows of one length only.

    References:
        https://arxiv.org/abs/1511.01432, section 2
    """

    def __init__(self, backbone: keras.Model, views: Preprocessor | None = None, **kwargs: Any) -> None:
        super().__init__(backbone, views, **kwargs)
        width = sequence_stages(backbone).width
        _refuse_fixed_length(backbone)
        self.start = self.add_weight((width,), initializer="random_normal", name="start")

    def predict_steps(self, inputs: Tensor, training: bool) -> dict[str, Tensor]:
        """Every step from the states of a second reading that starts where the first one ended."""
        found = sequence_stages(self.backbone)
        vectors, mask, wanted = found.read(inputs, training)
        start = ops.zeros_like(vectors[:, :1]) + ops.cast(self.start, vectors.dtype)
        twice = ops.concatenate([vectors, start, vectors[:, :-1]], axis=1)
        states = found.encoder([twice, ops.concatenate([mask, mask], axis=1)], training=training)
        return {"predicted": self.output_layer(states[:, vectors.shape[1] :]), "wanted": wanted, "mask": mask}


def _refuse_fixed_length(backbone: keras.Model) -> None:
    """Raise if the encoder cannot read a sequence of twice the length, since it is read and written in one pass."""
    encoder = sequence_stages(backbone).encoder
    shape: Any = encoder.input_shape[0]
    if shape[1] is not None:
        raise UsageError(
            f"`backbone` of sequence_autoencoder must read sequences of any length, since it goes through each one twice. "
            f"Received: '{backbone.name}', which reads rows of {shape[1]} steps only. Use --backbone lstm or gru; for a "
            "Transformer, a masked or causal language model (--objective mlm, --objective causal)."
        )
