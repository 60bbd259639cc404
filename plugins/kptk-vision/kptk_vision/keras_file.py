"""Any `keras.Model` from a ``.keras`` file as backbone."""

from __future__ import annotations

import keras

from kptk import modelfile
from kptk.errors import InputError
from kptk.training import backbones
from kptk.training.saving import load_model


def keras_file(input_shape: tuple[int, ...], *, path: str = "", layer: str = "") -> keras.Model:
    """Load a model of yours and check that it can be a backbone.

    Its weights are the start of the training. It must take one input and return one tensor of features; feature maps and
    sequences are averaged by kptk where an objective needs vectors. Images come as floats of 0..1.

    Args:
        input_shape: shape of one input, such as ``(height, width, channels)``.
        path: the file, as ``model.save("my_model.keras")`` writes it.
        layer: name of the layer whose output are the features; empty for the model's own output. Cuts off a head.

    Returns:
        The model.

    Raises:
        InputError: if the file is missing, is something else, or holds code (a Lambda layer).
        UsageError: if the model takes other inputs, or ends in the softmax of a classifier.

    Example:
        >>> import tempfile
        >>> file = tempfile.gettempdir() + "/my_model.keras"
        >>> keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]).save(file)
        >>> keras_file((8, 8, 1), path=file).output_shape
        (None, 4)
    """
    if not path.lower().endswith(".keras"):
        raise InputError(f"`path` must be a .keras file. Received: {path!r}. Save a model: model.save('NAME.keras')")
    file = modelfile.existing(path)
    model = load_model(file, compile=False)
    if layer:
        model = backbones.cut(model, layer)
    backbones.refuse_misfit(model, input_shape, str(file))
    return model
