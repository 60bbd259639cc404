"""Weight fine-tuning: every weight trains, lower layers more slowly and later if wished."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.rates import SlantedTriangle, layer_rates, layerwise
from kptk.training.strategy import Strategy
from kptk.training.task import Task


@keras.saving.register_keras_serializable(package="kptk_finetune")
class WeightTuning(Strategy):
    """All weights from the pre-trained point, with ULMFiT's three means against forgetting.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        decay: each layer learns this many times more slowly than the one above it, at least 1; 1 for one rate everywhere
            (the paper takes 2.6).
        unfreeze: number of groups of layers that begin to train one after the other, from the top, at least 1; 1 trains
            everything from the start. The first group has the head as well. Until all train, the backbone is in
            inference mode.
        slanted: a short linear rise and a long linear fall of the learning rate instead of the run's schedule.
        **kwargs: passed to `keras.Model`.

    References:
        Howard and Ruder 2018, ULMFiT, https://arxiv.org/abs/1801.06146
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        decay: float = 1.0,
        unfreeze: int = 1,
        slanted: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.decay = decay
        self.unfreeze = unfreeze
        self.slanted = slanted

    def layers_of_weights(self) -> list[list[Any]]:
        """The weights of each layer of the backbone, lowest first, then those of the head."""
        layers: dict[str, list[Any]] = {}
        inside = {id(variable) for variable in self.backbone.variables}
        for variable in self.tunable:
            if id(variable) in inside:
                layers.setdefault(variable.path.rpartition("/")[0], []).append(variable)
        return [*layers.values(), list(self.head_weights())]

    def phases(self) -> tuple[Phase, ...]:
        """One phase for each group that begins to train; the last one trains everything."""
        layers = self.layers_of_weights()
        groups = min(self.unfreeze, len(layers))
        made = []
        for index in range(1, groups):
            lowest = round(len(layers) * (1 - index / groups))
            chosen = tuple(variable for layer in layers[min(lowest, len(layers) - 1) :] for variable in layer)
            made.append(Phase(name=f"top {index} of {groups}", weights=chosen))
        return (*made, Phase(name="all", weights=tuple(self.tunable), live=True))

    def factors(self) -> dict[str, float]:
        """Factor on the learning rate of each weight, by its path: the head and the top layer have 1."""
        layers = self.layers_of_weights()
        rates = [*layer_rates(len(layers) - 1, self.decay), 1.0]
        return {variable.path: rate for layer, rate in zip(layers, rates, strict=True) for variable in layer}

    def optimizer_for(self, phase: Phase, optimizer: Any) -> Any:
        """The optimiser with layer-wise rates, if they differ."""
        del phase
        return layerwise(optimizer, self.factors()) if self.decay != 1 else optimizer

    def learning_rate(self, phase: Phase, peak: float, steps: int) -> Any:
        """The slanted triangle, if it is wished and the steps are known."""
        return SlantedTriangle(peak, steps) if self.slanted and steps else peak * phase.rate

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "decay": self.decay, "unfreeze": self.unfreeze, "slanted": self.slanted}
