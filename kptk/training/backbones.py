"""What kptk asks of a backbone, whichever way it was made: functional, sequential, subclassed, pre-trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kptk.errors import UsageError

Shape = tuple[int | None, ...]


def input_shape(backbone: keras.Model) -> Shape:
    """Shape of one input of a built model; None for a size that is free.

    Args:
        backbone: any `keras.Model` with one input.

    Raises:
        UsageError: if the model is not built yet, or takes several inputs.
    """
    shape = getattr(backbone, "input_shape", None)
    if shape is None:  # a subclassed model keeps only what it was built with
        shape = (backbone.get_build_config() or {}).get("input_shape") if backbone.built else None
    if shape is None:
        raise UsageError(
            f"backbone '{backbone.name}' has no weights yet, since it has not seen an input. Call it once on a batch, "
            "or begin it with keras.Input(shape)."
        )
    if not isinstance(shape, tuple | list) or not all(size is None or isinstance(size, int) for size in shape):
        raise UsageError(f"backbone '{backbone.name}' must take one input. It takes: {shape}.")
    return tuple(shape[1:])


def output_shape(backbone: keras.Model) -> Shape:
    """Shape of the features of one input; None for a size that depends on the input's.

    Args:
        backbone: any built `keras.Model` with one input.

    Raises:
        UsageError: if the model is not built yet, or has several inputs or outputs.
    """
    inputs = input_shape(backbone)
    shape = getattr(backbone, "output_shape", None)
    if shape is None:
        outputs = backbone.compute_output_spec(keras.KerasTensor((None, *inputs)))
        shape = outputs.shape if hasattr(outputs, "shape") else outputs
    if not isinstance(shape, tuple) or not all(size is None or isinstance(size, int) for size in shape):
        raise UsageError(f"backbone '{backbone.name}' must return one tensor of features. It returns: {shape}.")
    return tuple(shape[1:])


def feature_dim(backbone: keras.Model) -> int:
    """Length of the feature vector that a backbone gives, maps and sequences averaged.

    Args:
        backbone: any built `keras.Model` with one input.

    Raises:
        UsageError: if that length is not fixed, or there is none.
    """
    shape = output_shape(backbone)
    if not shape or shape[-1] is None:
        raise UsageError(f"backbone '{backbone.name}' must return features of a fixed length. It returns: {shape}.")
    return int(shape[-1])


def reinitialised(backbone: keras.Model, seed: int) -> keras.Model:
    """The same architecture with fresh weights, whatever is in them: trained, or pre-trained and loaded.

    It is made from the model's configuration, so it equals what the builder of a network without loaded weights makes
    from the same seed.

    Args:
        backbone: any built `keras.Model` that can be saved.
        seed: of the weights.

    Returns:
        Another model; `backbone` stays as it is.
    """
    config = keras.saving.serialize_keras_object(backbone)
    keras.utils.set_random_seed(seed)
    fresh: keras.Model = keras.saving.deserialize_keras_object(config)
    return fresh


def refuse_misfit(backbone: keras.Model, wanted: tuple[int, ...], origin: str) -> None:
    """Raise if a user's model cannot be the backbone of such inputs.

    Args:
        backbone: a built model.
        wanted: shape of one input.
        origin: what to call it in messages, such as its file.

    Raises:
        UsageError: if it takes another shape, returns several tensors, or ends in a classifier's softmax.
    """
    taken = input_shape(backbone)
    fits = len(taken) == len(wanted) and all(t in (None, w) for t, w in zip(taken, wanted, strict=True))
    if not fits:
        hint = "Give it data of its own shape."
        if len(taken) == len(wanted) == 3:
            hint = (
                f"Let the preprocessor resize: -o preprocessor.size={taken[0]}."
                if taken[-1] == wanted[-1]
                else f"A folder of images can be read as it needs: -o data.channels={taken[-1]}."
            )
        raise UsageError(f"{origin} takes inputs of {_text(taken)}, the run gives {_text(wanted)}. {hint}")
    feature_dim(backbone)
    # A softmax shows in its numbers, wherever and however the model makes it.
    probe = keras.ops.convert_to_tensor(np.random.default_rng(0).random((2, *wanted), dtype=np.float32))
    outputs = np.asarray(keras.ops.convert_to_numpy(backbone(probe, training=False)), dtype=np.float64)
    if (
        outputs.ndim == 2
        and outputs.shape[1] > 1
        and (outputs >= 0).all()
        and np.allclose(outputs.sum(1), 1, atol=1e-3)
    ):
        raise UsageError(
            f"{origin} ends in a classifier: its {outputs.shape[1]} outputs are probabilities, not features. "
            + _how_to_cut(backbone)
        )


def cut(backbone: keras.Model, layer: str) -> keras.Model:
    """The part of a model up to a layer, with the same weights.

    Args:
        backbone: a functional or sequential model.
        layer: name of the layer whose output are the features.

    Raises:
        UsageError: if there is no such layer.
    """
    names = [item.name for item in backbone.layers]
    if layer not in names or not hasattr(backbone, "inputs"):
        raise UsageError(f"model '{backbone.name}' has no layer '{layer}'; its last ones are: {', '.join(names[-8:])}")
    return keras.Model(backbone.inputs, backbone.get_layer(layer).output, name=backbone.name)


def _how_to_cut(backbone: keras.Model) -> str:
    names = [item.name for item in backbone.layers]
    if not hasattr(backbone, "inputs") or len(names) < 2:
        return "Save the model without its last layer."
    return (
        f"Cut it: -o backbone.layer={names[-2]} (its last layers: {', '.join(names[-6:])}), or save "
        f"keras.Model(model.inputs, model.get_layer('{names[-2]}').output)."
    )


def _text(shape: Any) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape) or "a single number"
