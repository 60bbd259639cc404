"""The sub-pixel step: numbers from the channels become pixels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.types import Tensor


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class DepthToSpace(keras.layers.Layer):
    """Turns ``(batch, h, w, block² * c)`` into ``(batch, block * h, block * w, c)``.

    The channels are read as (row in the block, column in the block, channel), as Keras and TensorFlow do;
    PyTorch's ``PixelShuffle`` reads them as (channel, row, column).

    Args:
        block: how many times larger each side gets, at least 2.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> tuple(DepthToSpace(2)(np.zeros((1, 3, 3, 12))).shape[1:])
        (6, 6, 3)

    References:
        https://arxiv.org/abs/1609.05158
    """

    def __init__(self, block: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: Tensor) -> Tensor:
        """Rearrange."""
        return ops.depth_to_space(inputs, self.block, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output for a shape of the input."""
        batch, height, width, channels = input_shape
        assert height is not None and width is not None and channels is not None
        return (batch, height * self.block, width * self.block, channels // self.block**2)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "block": self.block}
