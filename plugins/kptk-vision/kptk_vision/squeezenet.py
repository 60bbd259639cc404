"""SqueezeNet 1.1 (Iandola and others, 2016) with bundled ImageNet weights."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.errors import UsageError

FILE = "squeezenet11_imagenet_fp16.npz"
MEAN = (123.68, 116.779, 103.939)
"""Mean red, green and blue of ImageNet on the 0..255 scale, which the weights were trained with."""
FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
"""Squeeze filters of each fire module; each of its two expansions has four times as many."""
POOLED = (2, 4, 6)
"""The fire modules before which there is a pooling."""

Array = NDArray[np.float32]


def squeezenet(input_shape: tuple[int, ...], *, weights: str = "imagenet") -> keras.Model:
    """Build the convolutional part, averaged; the head belongs to the task.

    Args:
        input_shape: ``(height, width, channels)``, sides of at least 31 pixels; 1 channel is repeated to 3. The weights
            were trained on 227 x 227; much smaller images give poorer features.
        weights: ``"imagenet"`` for the bundled weights, or ``"none"`` for fresh ones.

    Returns:
        A functional `keras.Model` from images of 0..1 (RGB or grey) to features ``(batch, 512)``. With ImageNet weights
        it begins with the scaling that they were trained with.

    Raises:
        UsageError: if the images have another number of channels than 1 or 3.

    Example:
        >>> squeezenet((64, 64, 3)).count_params()
        722496

    References:
        https://arxiv.org/abs/1602.07360; version 1.1 as its authors published it later
    """
    inputs, x = _body(input_shape, scaled=weights == "imagenet")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    model = keras.Model(inputs, x, name="squeezenet")
    if weights == "imagenet":
        _load(model)
    return model


def squeezenet_classifier(input_shape: tuple[int, ...] = (227, 227, 3)) -> keras.Model:
    """Build the whole ImageNet classifier with its weights.

    Args:
        input_shape: ``(height, width, channels)``, sides of at least 31 pixels.

    Returns:
        A functional `keras.Model` from images of 0..1 (RGB or grey) to 1000 probabilities, in the order of
        `imagenet_classes`.
    """
    inputs, x = _body(input_shape, scaled=True)
    x = keras.layers.Dropout(0.5, name="drop9")(x)
    x = keras.layers.Conv2D(1000, 1, activation="relu", name="conv10")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    model = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x), name="squeezenet_classifier")
    _load(model)
    return model


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1000 classes of ImageNet, in the order of the classifier's outputs.

    Example:
        >>> imagenet_classes()[207]
        'golden retriever'
    """
    return tuple(str(name) for name in _arrays()["classes"])


def _body(input_shape: tuple[int, ...], *, scaled: bool) -> tuple[Any, Any]:
    channels = input_shape[-1]
    if channels not in (1, 3):
        raise UsageError(f"squeezenet takes images of 1 or 3 channels. Received: {input_shape}.")
    x = inputs = keras.Input(input_shape, name="images")
    if channels == 1:
        x = keras.layers.Concatenate(name="to_colour")([x, x, x])
    if scaled:
        x = keras.layers.Rescaling(255.0, offset=[-value for value in MEAN], name="to_imagenet")(x)
    x = _conv(x, 64, 3, "conv1", strides=2, padding="valid")
    for number, squeeze in FIRES.items():
        if number in POOLED:
            x = keras.layers.MaxPooling2D(3, strides=2, name=f"pool{number - 1}")(x)
        x = _fire(x, squeeze, f"fire{number}")
    return inputs, x


def _fire(x: Any, squeeze: int, name: str) -> Any:
    """Few 1x1 filters, then 1x1 and 3x3 ones side by side."""
    x = _conv(x, squeeze, 1, f"{name}_squeeze1x1")
    sides = [_conv(x, 4 * squeeze, size, f"{name}_expand{size}x{size}") for size in (1, 3)]
    return keras.layers.Concatenate(name=f"{name}_concat")(sides)


def _conv(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"} | options
    return keras.layers.Conv2D(filters, size, name=name, **options)(x)


@cache
def _arrays() -> dict[str, NDArray[np.generic]]:
    """The bundled file: half-precision weights by layer, and the class names."""
    file = resources.files("kptk_vision") / "data" / FILE
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _load(model: keras.Model) -> None:
    """Write the bundled weights into a model's convolutions."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = (_arrays()[f"{layer.name.replace('_', '/')}/{part}"] for part in ("kernel", "bias"))
            if layer.name == "conv1":
                kernel = kernel[:, :, ::-1, :]  # trained on blue, green, red; kptk's images are red, green, blue
            layer.set_weights([kernel.astype("float32"), bias.astype("float32")])
