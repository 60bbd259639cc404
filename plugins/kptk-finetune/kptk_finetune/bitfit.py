"""BitFit: biases and the head train, nothing else."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task

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
        rate: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.rate = rate

    def biases(self) -> tuple[Any, ...]:
        """The biases of the backbone."""
        inside = {id(variable) for variable in self.backbone.variables}
        return tuple(v for v in self.tunable if id(v) in inside and v.path.rpartition("/")[2] in BIASES)

    def phases(self) -> tuple[Phase, ...]:
        """Biases and head together."""
        return (Phase(name="biases", weights=(*self.biases(), *self.head_weights()), rate=self.rate),)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "rate": self.rate}
