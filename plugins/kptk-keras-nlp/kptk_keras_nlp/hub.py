"""Any image backbone of KerasHub, by the name of its class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import keras_nlp  # an alias of keras_hub, which the classes in saved files belong to

from kptk import errors
from kptk.errors import UsageError
from kptk.training.adopted import adopt, built, read_arguments
from kptk_keras_nlp.architectures import ARGUMENTS, FAMILY

REFUSED = {
    "BASNetBackbone": "a segmentation network around a backbone",
    "DFineBackbone": "a detector",
    "DeepLabV3Backbone": "a segmentation network around a backbone",
    "DepthAnythingBackbone": "a depth estimator around a backbone",
    "FeaturePyramidBackbone": "the abstract base of others",
    "FluxBackbone": "an image generator",
    "RetinaNetBackbone": "a detector around a backbone",
    "SAM3PromptableConceptBackbone": "a network that takes prompts besides images",
    "SAMBackbone": "a network that takes prompts besides images",
    "SegFormerBackbone": "a segmentation network around a backbone",
    "StableDiffusion3Backbone": "an image generator",
}
"""Classes with an image shape that are no networks from images to features, and what they are."""


def hub(input_shape: tuple[int, ...], *, family: str = FAMILY, arguments: str = ARGUMENTS) -> keras.Model:
    """Build an image backbone of KerasHub from the name of its class.

    Args:
        input_shape: ``(height, width, channels)`` of the images.
        family: a class in ``keras_hub.models``, with or without its ending, such as ``"ResNet"``.
        arguments: what it is called with besides the shape of the images: JSON text, or the path of a ``.json`` file.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, length)``, with fresh weights.

    Raises:
        InputError: if the file of arguments cannot be read.
        UsageError: if there is no such class, or it cannot be built so.

    Example:
        >>> arguments = '{"stackwise_num_repeats": [1], "stackwise_num_filters": [8]}'
        >>> hub((32, 32, 3), family="VGG", arguments=arguments).output_shape
        (None, 8)

    References:
        https://keras.io/keras_hub/api/models/
    """
    known = image_families()
    name = family.removesuffix("Backbone")
    if what := REFUSED.get(f"{name}Backbone"):
        raise UsageError(f"{name}Backbone of KerasHub is {what}. There are: {', '.join(known)}.")
    if name not in known:
        hint = errors.did_you_mean(name, known) or f"There are: {', '.join(known)}."
        raise UsageError(f"KerasHub has no image backbone '{name}'. {hint}")
    return network(f"{name}Backbone", read_arguments(arguments), input_shape, name=name.lower())


def network(family: str, arguments: Mapping[str, Any], input_shape: tuple[int, ...], *, name: str) -> keras.Model:
    """Build a class of KerasHub for images of a shape, as a backbone of kptk.

    Args:
        family: the class, such as ``"ResNetBackbone"``.
        arguments: what it is called with besides that shape.
        input_shape: ``(height, width, channels)``.
        name: name of the backbone.

    Raises:
        UsageError: if it cannot be built so.
    """
    made = getattr(keras_nlp.models, family)
    values = {_shape_argument(made): input_shape} | dict(arguments)
    what = f"{family} of KerasHub for images of {' x '.join(map(str, input_shape))}"
    return adopt(built(lambda: made(**values), what), input_shape, name=name)


def image_families() -> list[str]:
    """The classes from images to features, without their ending.

    Example:
        >>> "DenseNet" in image_families(), "Bert" in image_families()
        (True, False)
    """
    names = [name for name in dir(keras_nlp.models) if name.endswith("Backbone") and name not in ("Backbone", *REFUSED)]
    return [name.removesuffix("Backbone") for name in names if _shape_argument(getattr(keras_nlp.models, name))]


def _shape_argument(made: type) -> str:
    """The argument by which a class is told the shape of the images; empty if it takes no images."""
    names = inspect.signature(made.__init__).parameters  # type: ignore[misc]
    if "vocabulary_size" in names or "text_encoder" in names:
        return ""
    return next((name for name in ("image_shape", "input_shape") if name in names), "")
