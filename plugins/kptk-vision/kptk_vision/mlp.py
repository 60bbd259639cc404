"""A multi-layer perceptron on flattened images."""

from __future__ import annotations

import keras


def mlp(
    input_shape: tuple[int, ...],
    *,
    units: int = 256,
    depth: int = 2,
    activation: str = "relu",
    batch_norm: bool = False,
) -> keras.Model:
    """Build Flatten, then `depth` times Dense -> batch normalisation (if asked for) -> activation.

    Args:
        input_shape: shape of one image, ``(height, width, channels)``.
        units: width of each layer, which is the length of the features.
        depth: number of dense layers.
        activation: ``"relu"``, ``"gelu"``, ``"tanh"`` or ``"sigmoid"``.
        batch_norm: whether batch normalisation stands before each activation; the dense layers then have no bias.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, units)``.

    Example:
        >>> mlp((28, 28, 1), units=64, depth=3, activation="sigmoid").count_params()
        58560
    """
    inputs = keras.Input(input_shape, name="images")
    x = keras.layers.Flatten(name="flatten")(inputs)
    # Keras' default start, Glorot's, is made for tanh and sigmoid; He's keeps the variance through ReLU and GELU.
    start = "he_uniform" if activation in ("relu", "gelu") else "glorot_uniform"
    for index in range(depth):
        dense = keras.layers.Dense(units, use_bias=not batch_norm, kernel_initializer=start, name=f"dense{index}")
        x = dense(x)
        if batch_norm:
            # Keras' own 0.99 has forgotten only half of its start after 70 steps; runs on few labels are hardly longer.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{index}")(x)
        x = keras.layers.Activation(activation, name=f"activation{index}")(x)
    return keras.Model(inputs, x, name="mlp")
