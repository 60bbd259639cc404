"""The plainest strategies there are, to try tasks with."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.phases import Phase
from kptk.training.sequence_decoder import sequence_decoder
from kptk.training.strategy import Strategy
from kptk.training.task import Task


@keras.saving.register_keras_serializable(package="kptk")
class Whole(Strategy):
    """Every weight trains from the start."""

    def phases(self) -> tuple[Phase, ...]:
        """One phase of everything."""
        return (Phase(name="all", weights=tuple(self.tunable), live=True),)


@keras.saving.register_keras_serializable(package="kptk")
class WholeWithDecoder(Strategy):
    """A small decoder for a task that writes texts, all of which trains from the start.

    Args:
        backbone: a token backbone.
        task: a task whose features are a ``"target"``.
        preprocessor: prepares raw inputs, or None.
        **kwargs: passed to `kptk.training.strategy.Strategy`.
    """

    def __init__(self, backbone: keras.Model, task: Task, preprocessor: Any = None, **kwargs: Any) -> None:
        network = sequence_decoder(backbone, task.target_length, layers=1)
        super().__init__(backbone, task, preprocessor, network=network, **kwargs)

    def phases(self) -> tuple[Phase, ...]:
        """One phase of everything that an output depends on."""
        used = {id(variable) for variable in (*self.network.variables, *self.task.variables)}
        return (Phase(name="all", weights=tuple(v for v in self.tunable if id(v) in used), live=True),)
