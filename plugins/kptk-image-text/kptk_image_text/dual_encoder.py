"""Two backbones by name, one for pictures and one for texts, as one backbone of pairs."""

from __future__ import annotations

from math import prod

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.api import backbone
from kptk.training.features import pooled
from kptk_image_text.packing import split
from kptk_image_text.part_options import part_options, told
from kptk_image_text.towers import IMAGE, TEXT


def dual_encoder(
    input_shape: tuple[int, ...],
    *,
    image: str = "example_cnn",
    image_options: str = "",
    text: str = "bert",
    text_options: str = "",
    image_shape: str = "",
    length: int = 0,
    vocabulary: int = 0,
) -> keras.Model:
    """Build two encoders side by side.

    Args:
        input_shape: ``(numbers of a picture + tokens of a caption,)``, as `ImageTextViews` makes a view.
        image: name of the backbone of the pictures, see ``kptk list backbones``.
        image_options: its options, ``"width=16,stem=small"``.
        text: name of the backbone of the texts.
        text_options: its options, ``"layers=4,width=256,heads=4"``.
        image_shape: of a picture, ``"48x48x3"``; `kptk train` sets it to what the preprocessor makes.
        length: tokens of a caption; `kptk train` sets it.
        vocabulary: tokens; `kptk train` sets it to what the preprocessor learned.

    Returns:
        A functional `keras.Model` from a packed pair to the features of its picture and those of its text, one behind the
        other. Inside are the models ``image_encoder`` and ``text_encoder``.

    Raises:
        UsageError: if the shapes do not go together, or a name or an option is wrong.

    Example:
        >>> dual_encoder((28 * 28 + 8,), image_shape="28x28x1", length=8, vocabulary=100).output_shape
        (None, 256)

    References:
        https://arxiv.org/abs/2103.00020
    """
    shape = _shape(image_shape)
    if length < 1 or prod(shape) + length != input_shape[0] or len(input_shape) != 1:
        raise UsageError(
            f"`input_shape` must be (numbers of `image_shape` + `length`,). Received: {tuple(input_shape)}, image_shape "
            f"{image_shape!r}, length {length}. Pairs become such rows by a preprocessor: --preprocessor image_text_views"
        )
    own = part_options("backbone", image, image_options, "image_options")
    pictures = _named(backbone(image, shape, **own), IMAGE, image)
    own = told(
        "backbone", text, part_options("backbone", text, text_options, "text_options"), {"vocabulary": vocabulary}
    )
    texts = _named(backbone(text, (length,), **own), TEXT, text)
    pairs = keras.Input((input_shape[0],), name="pairs")
    pixels, ids = split(pairs, shape)
    features = [pooled(pictures(pixels)), pooled(texts(ids))]
    return keras.Model(pairs, ops.concatenate(features, axis=-1), name="dual_encoder")


def _shape(text: str) -> tuple[int, int, int]:
    words = text.lower().split("x")
    if len(words) != 3 or not all(word.strip().isdigit() for word in words):
        raise UsageError(f"`image_shape` must be height x width x channels, such as 48x48x3. Received: {text!r}.")
    height, width, channels = (int(word) for word in words)
    return height, width, channels


def _named(model: keras.Model, name: str, offer: str) -> keras.Model:
    """The same network under another name."""
    if not hasattr(model, "inputs") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UsageError(f"backbone {offer} cannot be half of a dual encoder: it is no functional model of one input.")
    return keras.Model(model.inputs[0], model.outputs[0], name=name)
