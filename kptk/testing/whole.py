"""The plainest strategy there is, to try tasks with."""

from __future__ import annotations

import keras

from kptk.training.phases import Phase
from kptk.training.strategy import Strategy


@keras.saving.register_keras_serializable(package="kptk")
class Whole(Strategy):
    """Every weight trains from the start."""

    def phases(self) -> tuple[Phase, ...]:
        """One phase of everything."""
        return (Phase(name="all", weights=tuple(self.tunable), live=True),)
