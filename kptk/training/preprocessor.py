"""`Preprocessor`: from a batch of raw inputs to the views that an objective learns from."""

from __future__ import annotations

import abc
from typing import Any

import keras

from kptk.types import Tensor


class Preprocessor(keras.layers.Layer, abc.ABC):
    """Abstract layer between raw inputs and the backbone. Plugins subclass it.

    It has two ways through: `call` makes the (random) views of a training step, and `plain` prepares inputs for
    inference. Both run inside the model, in `keras.ops`, so the same code serves every backend and `model.fit` takes
    raw arrays.

    Args:
        views: how many views to make of each example.
        seed: seed of the layer's random numbers; None draws one.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, *, views: int = 2, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.views = views
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True  # no weights beyond the random state

    @abc.abstractmethod
    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the views.

        Args:
            inputs: raw inputs, shape ``(batch, ...)``.

        Returns:
            `views` tensors as the backbone takes them.
        """

    @abc.abstractmethod
    def plain(self, inputs: Tensor) -> Tensor:
        """Prepare inputs for inference: the same scaling and size, no randomness.

        Args:
            inputs: raw inputs, shape ``(batch, ...)``.
        """

    def check(self, inputs: Any) -> None:
        """Look at an array before `fit` starts and refuse what cannot be meant.

        Args:
            inputs: the array that was passed to `fit`.

        Raises:
            InputError: if its shape or range is wrong.
        """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, so that a saved model contains its views."""
        return {**super().get_config(), "views": self.views, "seed": self.seed}
