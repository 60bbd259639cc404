"""Backbones of KerasCV by the name of their class: those that work under Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_cv

from kptk.errors import UsageError, did_you_mean
from kptk.training.adopted import adopt, built, read_arguments
from kptk_keras_cv.architectures import ARGUMENTS, FAMILY

WORKS = (
    *("CSPDarkNet", "DenseNet", "EfficientNetLite", "EfficientNetV1", "EfficientNetV2", "MiT", "MobileNetV3"),
    *("ResNet", "ResNetV2", "ViTDet"),
)
"""Classes that were built, trained, saved and loaded, without their ending."""
REFUSED = {
    "CenterPillar": "it takes voxels of laser scans, not images",
    "VideoSwin": "it takes videos, not images",
}
"""Classes that are no backbones of images, and why."""


def cv(input_shape: tuple[int, ...], *, family: str = FAMILY, arguments: str = ARGUMENTS) -> keras.Model:
    """Build a backbone of KerasCV from the name of its class.

    Args:
        input_shape: ``(height, width, channels)`` of the images.
        family: a class in ``keras_cv.models``, with or without its ending, such as ``"EfficientNetV2"``. Names with a
            size, such as ``"ResNet18V2"``, are refused: KerasCV downloads their settings.
        arguments: what it is called with besides the shape of the images: JSON text, or the path of a ``.json`` file.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, length)``, with fresh weights.

    Raises:
        InputError: if the file of arguments cannot be read.
        UsageError: if there is no such class, it does not work, or it cannot be built so.

    Example:
        >>> cv((32, 32, 3), family="DenseNet", arguments='{"stackwise_num_repeats": [2]}').output_shape
        (None, 128)

    References:
        https://github.com/keras-team/keras-cv
    """
    name = family.removesuffix("Backbone")
    if reason := REFUSED.get(name):
        raise UsageError(
            f"{name}Backbone of KerasCV cannot be a backbone here: {reason}. There are: {', '.join(WORKS)}."
        )
    if name not in WORKS:
        hint = did_you_mean(name, WORKS) or f"There are: {', '.join(WORKS)}."
        if hasattr(keras_cv.models, f"{name}Backbone"):
            hint = f"It is a size of another class, and KerasCV downloads its settings. Use the class itself. {hint}"
        raise UsageError(f"kptk uses no backbone '{name}' of KerasCV. {hint}")
    return network(f"{name}Backbone", read_arguments(arguments), input_shape, name=name.lower())


def network(family: str, arguments: Mapping[str, Any], input_shape: tuple[int, ...], *, name: str) -> keras.Model:
    """Build a class of KerasCV for images of a shape, as a backbone of kptk.

    Args:
        family: the class, such as ``"DenseNetBackbone"``.
        arguments: what it is called with besides that shape.
        input_shape: ``(height, width, channels)``.
        name: name of the backbone.

    Raises:
        UsageError: if it cannot be built so.
    """
    values = {"include_rescaling": False, "input_shape": input_shape} | dict(arguments)
    what = f"{family} of KerasCV for images of {' x '.join(map(str, input_shape))}"
    return adopt(built(lambda: getattr(keras_cv.models, family)(**values), what), input_shape, name=name)
