"""BitFit: biases and the head train, nothing else."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk_finetune.head_first import head_first

BIASES = ("bias", "beta")
"""Names of the variables that are added, not multiplied, in Keras layers."""


@keras.saving.register_keras_serializable(package="kptk_finetune")
class BitFit(Strategy):
    """Bias-only tuning: about a thousandth of a Transformer's weights train.

    The offsets (``beta``) of normalisation are biases too. The backbone is in inference mode, so moving statistics and
    every kernel keep their bits.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        head_share: fraction of the epochs that the head has for itself first, 0 <= share < 1; 0 is the paper's way.
        rate: factor on the learning rate, above 0: biases take larger steps than kernels.
        **kwargs: passed to `keras.Model`.

    References:
        Ben Zaken et al. 2021, https://arxiv.org/abs/2106.10199
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        head_share: float = 0.5,
        rate: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.head_share = head_share
        self.rate = rate

    def biases(self) -> tuple[Any, ...]:
        """The biases of the backbone."""
        inside = {id(variable) for variable in self.backbone.variables}
        return tuple(v for v in self.tunable if id(v) in inside and v.path.rpartition("/")[2] in BIASES)

    def phases(self) -> tuple[Phase, ...]:
        """The head, then biases and head together."""
        weights = (*self.biases(), *self.head_weights())
        phase = Phase(name="biases", weights=weights, share=1 - self.head_share, rate=self.rate)
        return (*head_first(self.head_weights(), self.head_share), phase)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "head_share": self.head_share, "rate": self.rate}
