"""`RecurrentPretrainer`: what the two recurrent objectives have in common."""

from __future__ import annotations

import abc
import math
from typing import Any

import keras

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_recurrent.sequence_loss import sequence_loss
from kptk_recurrent.sequence_stages import sequence_stages


class RecurrentPretrainer(Pretrainer, abc.ABC):
    """Predicts the steps of a sequence from the states of a recurrent network.

    Everything but the output layer is the backbone, so a classifier that starts from it gets all weights: those of the tokens
    and of the recurrent layers.

    Args:
        backbone: ``lstm``, ``gru``, or another that reads from left to right.
        views: a preprocessor of texts that is fitted; None if `fit` gets what the backbone takes.
        **kwargs: passed to `keras.Model`.

    References:
        https://arxiv.org/abs/1511.01432
    """

    def __init__(self, backbone: keras.Model, views: Preprocessor | None = None, **kwargs: Any) -> None:
        super().__init__(backbone, views, **kwargs)
        found = sequence_stages(backbone)
        self.output_layer = keras.layers.Dense(found.vocabulary or found.width, name="output")
        self.output_layer.build((None, None, found.units))

    @abc.abstractmethod
    def predict_steps(self, inputs: Tensor, training: bool) -> dict[str, Tensor]:
        """Predictions of a batch.

        Args:
            inputs: as the backbone takes them.
            training: whether dropout is on.

        Returns:
            ``predicted``, ``wanted`` and ``mask`` of `sequence_loss`.
        """

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Predict the steps."""
        return self.predict_steps(views[0], training)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `sequence_loss`."""
        del labels
        return sequence_loss(outputs["predicted"], outputs["wanted"], outputs["mask"])

    def chance_loss(self, batch_size: int) -> float | None:
        """``ln V`` for V tokens; unknown for numbers."""
        del batch_size
        tokens = sequence_stages(self.backbone).vocabulary
        return math.log(tokens) if tokens else None
