"""Finds the layers of a backbone that can be trained one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kptk.errors import UsageError

MAIN = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
"""Layers that begin a block."""
JOINING = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
    keras.layers.PReLU,
)
"""Layers with weights of their own that belong to the block before them."""
SAME_RANGE = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Dropout,  # does nothing where no training is on
)
"""Layers after which numbers that were between 0 and 1 still are."""


@dataclass(frozen=True, slots=True)
class Block:
    """One layer with weights, and what follows it up to the next one.

    Args:
        name: name of the layer.
        before: from the backbone's inputs to the block's inputs.
        encode: from the block's inputs to its code, before anything that only changes the rank, such as Flatten.
        weights: every variable of the block, statistics included.
        unit_inputs: whether the block's inputs are sure to be between 0 and 1.
    """

    name: str
    before: keras.Model
    encode: keras.Model
    weights: tuple[Any, ...]
    unit_inputs: bool

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the block."""
        return tuple(self.encode.input_shape[1:])

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one code."""
        return tuple(self.encode.output_shape[1:])


def find_blocks(backbone: keras.Model) -> tuple[Block, ...]:
    """Cut a backbone into blocks, each of one Dense or Conv2D layer with its normalisation, activation and pooling.

    Args:
        backbone: a functional or `Sequential` model in which each layer takes what the one before gives.

    Returns:
        The blocks, from the input on. They share the backbone's weights.

    Raises:
        UsageError: if the layers form no chain, or one of them cannot be trained alone.
    """
    layers = _chain(backbone)
    starts = [index for index, layer in enumerate(layers) if isinstance(layer, MAIN) and layer.trainable_weights]
    if not starts:
        raise _refusal(backbone, "it has no Dense or Conv2D layer to train")
    for index, layer in enumerate(layers):
        if layer.trainable_weights and index not in starts and (not isinstance(layer, JOINING) or index < starts[0]):
            raise _refusal(backbone, f"its layer {layer.name} is a {type(layer).__name__}")
    blocks = []
    for start, stop in zip(starts, [*starts[1:], len(layers)], strict=True):
        main = layers[start]
        inside = layers[start:stop]
        last = max(i for i, layer in enumerate(inside) if len(layer.output.shape) == len(main.output.shape))
        blocks.append(
            Block(
                name=main.name,
                before=keras.Model(backbone.inputs[0], main.input, name=f"before_{main.name}"),
                encode=keras.Model(main.input, inside[last].output, name=f"block_{main.name}"),
                weights=tuple(weight for layer in inside for weight in layer.weights),
                unit_inputs=_within_unit(layers[:start]),
            )
        )
    return tuple(blocks)


def _chain(backbone: keras.Model) -> list[Any]:
    """The layers in order, each of which takes only what the one before gives."""
    operations = getattr(backbone, "operations", None) or getattr(backbone, "layers", [])
    inputs, outputs = getattr(backbone, "inputs", None) or [], getattr(backbone, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refusal(backbone, "it is not a functional or Sequential model with one input and one output")
    if None in inputs[0].shape[1:]:
        raise _refusal(backbone, f"its inputs have no fixed size, {tuple(inputs[0].shape)}")
    layers = [item for item in operations if not isinstance(item, keras.layers.InputLayer)]
    given = inputs[0]
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise _refusal(backbone, f"it computes '{layer.name}' outside a layer")
        if layer.input is not given:
            raise _refusal(backbone, f"its layer {layer.name} does not take just what the layer before it gives")
        given = layer.output
    if given is not outputs[0]:
        raise _refusal(backbone, "a layer is used twice or is not part of the chain")
    return layers


def _within_unit(before: Sequence[Any]) -> bool:
    """Whether images of 0..1 are still between 0 and 1 after some layers."""
    for layer in reversed(before):
        activation = getattr(layer, "activation", None)
        if activation is not None:
            return activation is keras.activations.sigmoid
        if not isinstance(layer, SAME_RANGE):
            return False
    return True


def _refusal(backbone: keras.Model, reason: str) -> UsageError:
    return UsageError(
        f"layer-wise pre-training needs a backbone whose Dense and Conv2D layers form a chain, but of {backbone.name}: "
        f"{reason}. Use mlp, conv_stack or example_cnn (--backbone mlp), or another objective for this backbone."
    )
