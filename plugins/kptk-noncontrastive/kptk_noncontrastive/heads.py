"""Perceptrons between the backbone and the losses of this plugin."""

from __future__ import annotations

from typing import Any

import keras


def head(widths: tuple[int, ...], input_dim: int, *, last: str, name: str) -> keras.Sequential:
    """A built perceptron whose hidden layers have batch normalisation and ReLU.

    Args:
        widths: width of each layer.
        input_dim: length of the input vectors.
        last: what the last layer has besides its weights: ``"batch_norm"``, ``"bias"``, or ``"nothing"`` for a loss that
            takes out the mean itself.
        name: name of the model.

    Example:
        >>> head((16, 8), 32, last="bias", name="projector").output_shape
        (None, 8)
    """
    stack: list[Any] = [keras.Input((input_dim,))]
    for width in widths[:-1]:
        stack += [
            keras.layers.Dense(width, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    stack.append(keras.layers.Dense(widths[-1], use_bias=last == "bias"))
    if last == "batch_norm":
        stack.append(keras.layers.BatchNormalization(momentum=0.9))
    return keras.Sequential(stack, name=name)
