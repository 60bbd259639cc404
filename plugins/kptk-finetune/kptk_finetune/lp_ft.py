"""LP-FT: first the head on frozen features, then everything."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task


@keras.saving.register_keras_serializable(package="kptk_finetune")
class LpFt(Strategy):
    """Linear probing, then fine-tuning: a fitted head keeps the first steps from distorting the features.

    In the first phase the backbone is frozen and in inference mode, so its features are computed once and only the head
    trains. In the second phase every weight trains.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether the second phase sees random views.
        head_share: fraction of the epochs that the head has for itself, 0 < share < 1.
        head_rate: factor on the learning rate of the first phase, above 0.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, numpy as np, kptk
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.finetune("lp-ft", backbone, task="classification", num_classes=10)
        >>> [phase.name for phase in model.phases()]
        ['head', 'all']

    References:
        Kumar et al. 2022, https://arxiv.org/abs/2202.10054
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        head_share: float = 0.5,
        head_rate: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.head_share = head_share
        self.head_rate = head_rate

    def phases(self) -> tuple[Phase, ...]:
        """The head on cached features, then everything."""
        return (
            Phase(name="head", weights=self.head_weights(), share=self.head_share, rate=self.head_rate, cached=True),
            Phase(name="all", weights=tuple(self.tunable), share=1 - self.head_share, live=True),
        )

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "head_share": self.head_share, "head_rate": self.head_rate}
