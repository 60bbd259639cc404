"""What objectives put on top of a backbone: perceptrons, and the backbone and its head as one model."""

from __future__ import annotations

from typing import Any

import keras

from kptk.training.features import pooled


def with_head(backbone: keras.Model, head: keras.layers.Layer, name: str = "classifier") -> keras.Model:
    """A backbone and its head as one plain model; the weights are shared, not copied.

    Args:
        backbone: from inputs to features.
        head: a layer from feature vectors to what is wanted.
        name: name of the model.
    """
    inputs = keras.Input(backbone.input_shape[1:], name="inputs")
    return keras.Model(inputs, head(pooled(backbone(inputs))), name=name)


def mlp(layers: tuple[int, ...], input_dim: int, *, batch_norm: bool, name: str) -> keras.Sequential:
    """A built perceptron for projections and predictions; its last layer is linear and without bias if normalised.

    Args:
        layers: width of each layer.
        input_dim: length of the input vectors.
        batch_norm: whether each layer is followed by batch normalisation.
        name: name of the model.
    """
    stack: list[Any] = [keras.Input((input_dim,))]
    for index, width in enumerate(layers):
        stack.append(keras.layers.Dense(width, use_bias=not batch_norm))
        if batch_norm:
            stack.append(keras.layers.BatchNormalization(momentum=0.9))
        if index < len(layers) - 1:
            stack.append(keras.layers.ReLU())
    return keras.Sequential(stack, name=name)
