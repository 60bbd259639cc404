"""How many floating-point operations one example costs, counted layer by layer, on any backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def forward_flops(model: keras.Model, input_shape: tuple[int, ...]) -> int:
    """Multiplications and additions of one example's forward pass: those of matrix products, convolutions and attention.

    What is left out (activations, normalisation, pooling) is a few per cent of an ordinary network. A layer that is used
    twice counts twice.

    Args:
        model: from inputs to features.
        input_shape: shape of one input.

    Returns:
        Operations; a multiplication and an addition count as two.

    Example:
        >>> inputs = keras.Input((4,))
        >>> forward_flops(keras.Model(inputs, keras.layers.Dense(3)(inputs)), (4,))
        24
    """
    dtype = getattr(model, "input_dtype", None) or "float32"
    counted: list[int] = []
    with _watched(lambda layer, inputs, outputs: counted.append(layer_flops(layer, inputs, outputs))):
        model(keras.ops.zeros((1, *input_shape), dtype), training=False)
    return sum(counted)


def layer_flops(layer: Any, inputs: Any, outputs: Any) -> int:
    """Operations of one layer for a batch of one; 0 for layers without a kernel of their own.

    Args:
        layer: a Keras layer that was just called.
        inputs: what it was called with first.
        outputs: what it returned.
    """
    if isinstance(layer, keras.layers.RNN):
        cells = getattr(layer.cell, "cells", [layer.cell])
        return 2 * int(inputs.shape[1]) * sum(_size(cell, "kernel") + _size(cell, "recurrent_kernel") for cell in cells)
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return 4 * _attention_products(layer, outputs)
    if not hasattr(outputs, "shape"):  # such as the cell of a recurrent layer, which was counted with it
        return 0
    shape = tuple(outputs.shape)
    positions = _positions(layer, shape)
    return 2 * positions * sum(_size(layer, name) for name in ("kernel", "depthwise_kernel", "pointwise_kernel"))


def _positions(layer: Any, shape: tuple[int, ...]) -> int:
    """How often a layer's kernel is applied: the places of its output."""
    if isinstance(layer, keras.layers.EinsumDense):
        # The kernel holds some axes of the output; the others are places.
        _, _, made = layer.equation.replace("...", "").partition("->")
        _, _, kernel = layer.equation.partition("->")[0].partition(",")
        return int(np.prod([size for axis, size in zip(made, shape, strict=False) if axis not in kernel]))
    if getattr(layer, "data_format", "") == "channels_first":
        return int(np.prod(shape[2:]))
    return int(np.prod(shape[:-1]))


def _attention_products(layer: Any, outputs: Any) -> int:
    """Multiplications of queries with keys; those of weights with values are as many."""
    first = outputs[0] if isinstance(outputs, tuple | list) else outputs
    tokens = int(np.prod(first.shape[1:-1]))
    # Of self-attention; where keys come from elsewhere, their number is taken to be that of the queries.
    return tokens * tokens * int(layer.num_heads) * int(layer.key_dim)


def _size(layer: Any, name: str) -> int:
    kernel = getattr(layer, name, None)
    return int(np.prod(kernel.shape)) if kernel is not None else 0


@contextlib.contextmanager
def _watched(seen: Any) -> Iterator[None]:
    """Call a function with every layer that is called, and what it returned."""
    plain = keras.layers.Layer.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = plain(self, *args, **kwargs)
        if args and not isinstance(self, keras.Model):
            seen(self, args[0], outputs)
        return outputs

    keras.layers.Layer.__call__ = call
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = plain
