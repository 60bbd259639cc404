"""LoRA: low-rank changes of the kernels train, the kernels do not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.errors import UsageError
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk_finetune.head_first import head_first

LAYERS = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
"""Layers whose kernel Keras can adapt."""


@keras.saving.register_keras_serializable(package="kptk_finetune")
class Lora(Strategy):
    """Each kernel W becomes ``W + (alpha / rank) A B``; A starts random and B at zero, so training starts at W.

    The backbone is in inference mode. A saved model holds the merged kernels: Keras adds the change up when it saves, so
    a loaded model predicts the same and can be exported; training it on starts a new change.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        rank: rank of the change, at least 1.
        alpha: scale of the change, above 0.
        head_share: fraction of the epochs that the head has for itself first, 0 <= share < 1; 0 is the paper's way.
        layers: which layers, by a part of their path, such as ``"query"``; several parted by commas; empty for all.
        **kwargs: passed to `keras.Model`.

    References:
        Hu et al. 2021, https://arxiv.org/abs/2106.09685
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        rank: int = 4,
        alpha: float = 8.0,
        head_share: float = 0.5,
        layers: str = "",
        **kwargs: Any,
    ) -> None:
        self_layers = adaptable(backbone, layers)
        for layer in self_layers:
            if not layer.lora_enabled:
                layer.enable_lora(rank, lora_alpha=alpha)
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.rank = rank
        self.alpha = alpha
        self.head_share = head_share
        self.layers_adapted = layers

    def adapters(self) -> tuple[Any, ...]:
        """The two factors of each adapted kernel."""
        found = adaptable(self.backbone, self.layers_adapted)
        return tuple(v for layer in found for v in (layer.lora_kernel_a, layer.lora_kernel_b))

    def phases(self) -> tuple[Phase, ...]:
        """The head, then factors and head together."""
        weights = (*self.adapters(), *self.head_weights())
        phase = Phase(name="adapters", weights=weights, share=1 - self.head_share)
        return (*head_first(self.head_weights(), self.head_share), phase)

    def begin(self, phase: Phase, steps: int = 0, schedule: Any = None) -> keras.Model:
        """Start a new change where the last one was merged: two zero factors would have no gradient."""
        for layer in adaptable(self.backbone, self.layers_adapted):
            if not np.any(ops.convert_to_numpy(layer.lora_kernel_a.value)):
                layer.lora_kernel_a.assign(keras.initializers.HeUniform()(layer.lora_kernel_a.shape))
        return super().begin(phase, steps, schedule)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        own = {"rank": self.rank, "alpha": self.alpha, "head_share": self.head_share, "layers": self.layers_adapted}
        return {**super().get_config(), **own}


def adaptable(backbone: keras.Model, wanted: str) -> list[Any]:
    """The layers of a backbone that get an adapter.

    Args:
        backbone: the network.
        wanted: parts of their paths, parted by commas; empty for all.

    Raises:
        UsageError: if there is none.
    """
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    every = [layer for layer in backbone._flatten_layers() if isinstance(layer, LAYERS)]
    found = [layer for layer in every if not parts or any(part in layer.path for part in parts)]
    if not found:
        names = ", ".join(layer.path for layer in every[:8]) or "no layer that Keras can adapt"
        raise UsageError(
            f"`layers` must name a Dense, EinsumDense or Conv layer. Received: {wanted!r}. There is: {names}."
        )
    return found
