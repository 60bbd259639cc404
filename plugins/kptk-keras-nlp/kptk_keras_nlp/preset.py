"""A pre-trained image backbone from a local folder: a KerasHub preset, or one in Hugging Face's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_nlp
import numpy as np

from kptk import modelfile
from kptk.errors import UsageError
from kptk.training.adopted import adopt, built

CONVERTERS = ("preprocessor.json", "image_converter.json")
"""Files of a preset that say how its images were scaled."""


def preset(input_shape: tuple[int, ...], *, path: str = "") -> keras.Model:
    """Load a backbone with its weights from a folder. Nothing is downloaded: a name of KerasHub's is refused.

    The scaling that the preset's own preprocessing does becomes part of the model, which takes images of 0..1 as all
    backbones do.

    Args:
        input_shape: ``(height, width, channels)`` of the images.
        path: the folder, as ``backbone.save_to_preset(path)`` or ``task.save_to_preset(path)`` writes it, or as a model
            in Hugging Face's layout is kept (``config.json``, ``model.safetensors``).

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, length)``.

    Raises:
        InputError: if there is no such folder.
        UsageError: if it holds no image backbone, or one for images of another shape.

    Example:
        >>> import tempfile
        >>> from kptk_keras_nlp.hub import hub
        >>> network = keras_nlp.models.VGGBackbone([1], [8], image_shape=(None, None, 3))
        >>> folder = tempfile.mkdtemp()
        >>> network.save_to_preset(folder)
        >>> preset((32, 32, 3), path=folder).output_shape
        (None, 8)
    """
    folder = modelfile.existing(path, ("folder",))
    model = built(lambda: keras_nlp.models.Backbone.from_preset(str(folder)), f"the preset in {folder}")
    if not isinstance(getattr(model, "input_shape", None), tuple):
        raise UsageError(
            f"{folder} holds {type(model).__name__}, which takes more than a batch of images. "
            f"If it reads texts: --backbone text_preset -o backbone.path={folder}"
        )
    scale, offset = _scaling(folder)
    return adopt(
        model, input_shape, name=type(model).__name__.removesuffix("Backbone").lower(), scale=scale, offset=offset
    )


def _scaling(folder: Path) -> tuple[Any, Any]:
    """Factor and offset for images of 0..1 that do what the preset's image converter does to images of 0..255."""
    if not any((folder / name).is_file() for name in CONVERTERS):
        return None, None
    converter = built(
        lambda: keras_nlp.layers.ImageConverter.from_preset(str(folder)), f"the image converter in {folder}"
    )
    if converter.scale is None and converter.offset is None:
        return 255.0, None  # it was trained on 0..255
    scale = np.asarray(1.0 if converter.scale is None else converter.scale, "float64") * 255.0
    offset = None if converter.offset is None else np.asarray(converter.offset, "float64").tolist()
    return scale.tolist(), offset
