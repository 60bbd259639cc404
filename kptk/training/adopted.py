"""Makes a backbone of kptk out of a network of another library: images of 0..1 in, plain features out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kptk.errors import InputError, UsageError

POOLS: dict[int, type[keras.layers.Layer]] = {
    4: keras.layers.GlobalAveragePooling2D,
    3: keras.layers.GlobalAveragePooling1D,
}
"""What averages features of each rank to a vector."""
UNBUILT = "unbuilt state"
"""Words of the warning by which Keras says that a layer could not be built, and goes on without its weights."""


def built(make: Callable[[], keras.Model], what: str) -> keras.Model:
    """Call a network's constructor and say in one sentence what it minds.

    Args:
        make: builds the network.
        what: what to call it in messages, with its arguments.

    Returns:
        The network, with all its weights.

    Raises:
        UsageError: if it cannot be built so.

    Example:
        >>> built(lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "a layer").count_params()
        10
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=f"(?s).*{UNBUILT}")
            warnings.filterwarnings("ignore", message="(?s).*does not support masking")
            return make()
    except (TypeError, ValueError, LookupError, AttributeError, AssertionError, OSError, UserWarning) as error:
        # A library's own error may go on for pages and hold the real one in its middle.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        shown = next((line for line in lines if "must" in line or "Dimensions" in line), lines[0] if lines else "")
        raise UsageError(f"{what} cannot be built: {type(error).__name__}: {shown[:300]}") from error


def adopt(
    model: keras.Model,
    input_shape: tuple[int, ...],
    *,
    name: str,
    scale: Any = None,
    offset: Any = None,
) -> keras.Model:
    """Wrap a network so that it is fed as kptk feeds backbones, and gives one vector an image.

    A network of Keras' own layers is unrolled, so that the saved file is plain Keras and strategies see its layers. One
    with layers of its library stays as it is, inside; its file then needs that library.

    Args:
        model: a network with one input of rank 4 and one output of rank 2, 3 or 4.
        input_shape: ``(height, width, channels)`` of the images. 1 channel is repeated for a network that takes 3.
        name: name of the backbone.
        scale: by what pixels of 0..1 are multiplied before the network, a number or one a channel; None for nothing.
        offset: what is then added, likewise.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, length)``. Maps and tokens are averaged.

    Raises:
        UsageError: if it takes other images, or returns something else.

    Example:
        >>> network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
        >>> adopt(network, (8, 8, 1), name="small").output_shape
        (None, 4)
    """
    taken = model.input_shape
    if not isinstance(taken, tuple) or len(taken) != 4:
        raise UsageError(f"{name} must take one batch of images. It takes: {taken}.")
    x = images = keras.Input(input_shape, name="images")
    if input_shape[-1] == 1 and taken[-1] == 3:
        x = keras.layers.Concatenate(name="to_colour")([x, x, x])
    elif input_shape[-1] != taken[-1]:
        raise UsageError(f"{name} takes images of {taken[-1]} channels. Received: {input_shape}.")
    if any(side not in (None, given) for side, given in zip(taken[1:3], input_shape, strict=False)):
        raise UsageError(
            f"{name} takes images of {taken[1]} x {taken[2]} pixels. Received: {input_shape}. "
            f"Let the preprocessor resize: -o preprocessor.size={taken[1]}"
        )
    if scale is not None or offset is not None:
        x = keras.layers.Rescaling(1.0 if scale is None else scale, offset=offset or 0.0, name="rescaling")(x)
    features = model.call(x) if _is_plain(model) else model(x)
    if not hasattr(features, "shape") or len(features.shape) not in (2, *POOLS):
        raise UsageError(f"{name} must return one tensor of features. It returns: {features}.")
    if len(features.shape) > 2:
        features = POOLS[len(features.shape)](name="average")(features)
    return keras.Model(images, features, name=name)


def read_arguments(arguments: str) -> dict[str, Any]:
    """Read what a network is to be built with.

    Args:
        arguments: a JSON object as text, or the path of a ``.json`` file.

    Returns:
        Names and values.

    Raises:
        InputError: if the file cannot be read.
        UsageError: if it is no JSON object.

    Example:
        >>> read_arguments('{"num_layers": 4}')
        {'num_layers': 4}
    """
    text, origin = arguments, "`arguments`"
    if arguments.strip().lower().endswith(".json"):
        origin = arguments
        try:
            text = Path(arguments).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{arguments} cannot be read: {error}") from error
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{origin} must be JSON, such as '{{\"num_layers\": 4}}'. {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{origin} must be a JSON object of argument names and values. Received: {text[:80]}")
    return values


def _is_plain(model: keras.Model) -> bool:
    """Whether a functional model is made of Keras' own layers."""
    inner = model._flatten_layers(include_self=False)
    return hasattr(model, "inputs") and all(type(layer).__module__.partition(".")[0] == "keras" for layer in inner)
