"""A plain stack of convolutions that ends in a feature map, for convolutional autoencoders."""

from __future__ import annotations

import keras


def conv_stack(
    input_shape: tuple[int, ...],
    *,
    filters: int = 16,
    depth: int = 3,
    activation: str = "relu",
    batch_norm: bool = False,
) -> keras.Model:
    """Build `depth` times Conv 3x3 with stride 2 -> batch normalisation (if asked for) -> activation.

    Args:
        input_shape: ``(height, width, channels)``.
        filters: filters of the first layer; each next one has twice as many.
        depth: number of layers. Each halves height and width, rounded up.
        activation: ``"relu"``, ``"gelu"``, ``"tanh"`` or ``"sigmoid"``.
        batch_norm: whether batch normalisation stands before each activation; the convolutions then have no bias.

    Returns:
        A functional `keras.Model` from images of 0..1 to a map ``(batch, rows, columns, filters * 2**(depth - 1))``.

    Example:
        >>> conv_stack((28, 28, 1)).output_shape
        (None, 4, 4, 64)
    """
    inputs = keras.Input(input_shape, name="images")
    x = inputs
    start = "he_uniform" if activation in ("relu", "gelu") else "glorot_uniform"
    for index in range(depth):
        x = keras.layers.Conv2D(
            filters * 2**index,
            3,
            strides=2,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer=start,
            name=f"conv{index}",
        )(x)
        if batch_norm:
            # Keras' own 0.99 has forgotten only half of its start after 70 steps; runs on few labels are hardly longer.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{index}")(x)
        x = keras.layers.Activation(activation, name=f"activation{index}")(x)
    return keras.Model(inputs, x, name="conv_stack")
