"""Feature extraction: the backbone stays as it is, a new head is trained on its features."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task


@keras.saving.register_keras_serializable(package="kptk_finetune")
class FeatureExtraction(Strategy):
    """A frozen backbone in inference mode, whose features are computed once, and a new head.

    Every bit of the backbone stays: weights, and the moving statistics of its normalisation.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether the head learns from random views; features are then computed in every step.
        rate: factor on the learning rate, above 0: a head can take larger steps than a whole network.
        **kwargs: passed to `keras.Model`.

    References:
        Donahue et al. 2014, DeCAF, https://arxiv.org/abs/1310.1531
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        rate: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.rate = rate

    def phases(self) -> tuple[Phase, ...]:
        """The head alone."""
        return (Phase(name="head", weights=self.head_weights(), rate=self.rate, cached=not self.augment),)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "rate": self.rate}
