"""The example CNN: one convolution and one dense layer."""

from __future__ import annotations

import keras


def example_cnn(
    input_shape: tuple[int, ...], *, filters: int = 32, units: int = 128, dropout: float = 0.2
) -> keras.Model:
    """Build Conv 3x3 -> ReLU -> MaxPool 2 -> Flatten -> Dense -> ReLU -> Dropout; the head belongs to the task.

    With a 10-class head it has 693,962 parameters on 28 x 28 x 1 and 923,914 on 32 x 32 x 3.

    Args:
        input_shape: ``(height, width, channels)``, sides of at least 4 pixels.
        filters: filters of the convolution.
        units: width of the dense layer, which is the length of the features.
        dropout: fraction of the features dropped in training.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, units)``.

    Example:
        >>> example_cnn((28, 28, 1)).count_params()
        692672
    """
    inputs = keras.Input(input_shape, name="images")
    x = keras.layers.Conv2D(filters, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, activation="relu", name="dense")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, x, name="example_cnn")
