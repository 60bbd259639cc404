"""The last feature map of a convolutional network."""

from __future__ import annotations

import keras


def last_map(backbone: keras.Model) -> keras.Model | None:
    """Find the feature map of which a network's output is made without further weights, as by pooling.

    Args:
        backbone: any model.

    Returns:
        A model from the same inputs to that map ``(batch, height, width, channels)``, made of the same layers; None if
        there is none, because weights come after it or because the model is not made of layers that can be followed.

    Example:
        >>> images = keras.Input((8, 8, 3))
        >>> features = keras.layers.Conv2D(4, 3, strides=2, padding="same")(images)
        >>> pooled = keras.layers.GlobalAveragePooling2D()(features)
        >>> last_map(keras.Model(images, pooled)).output_shape
        (None, 4, 4, 4)
    """
    try:
        inputs, tensor = backbone.input, backbone.output
        makers = {id(layer.output): layer for layer in backbone.layers}
        while len(tensor.shape) != 4:
            layer = makers[id(tensor)]
            if layer.weights:
                return None
            tensor = layer.input
        return keras.Model(inputs, tensor, name="to_map")
    except (AttributeError, KeyError, TypeError, ValueError):  # not functional, or with several inputs or outputs
        return None
