"""A text network of KerasHub as a token backbone of kptk: one input, and the stages of `kptk.training.tokens`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.tokens import EMBED, ENCODER, PADDING, POOL, TABLE

POOLS = ("mean", "cls", "none")
IDS, MASK, SEGMENTS = "token_ids", "padding_mask", "segment_ids"


def token_backbone(network: Any, input_shape: tuple[int, ...], *, pool: str, name: str) -> keras.Model:
    """Cut a network in front of its first Transformer layer and put it together again with one input.

    The mask of padding is made of the token numbers, and the segments come from a second channel of the input, or are all 0.

    Args:
        network: a functional backbone of KerasHub, which keeps its weights.
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        pool: the features: ``"mean"`` of the tokens; ``"cls"``, the first token, behind the network's own dense layer if it has
            one; ``"none"``, all of them.
        name: name of the backbone.

    Returns:
        A functional model from token numbers, 0 for padding, to features.

    Raises:
        UsageError: if it is not made of a table of tokens and layers on top of it.
    """
    length, two = int(input_shape[-1]), len(input_shape) == 2
    inputs: dict[str, Any] = network.input if isinstance(network.input, dict) else {IDS: network.input}
    outputs: Any = network.output
    sequence = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    strange = set(inputs) - {IDS, MASK, SEGMENTS}
    if IDS not in inputs or strange or len(sequence.shape) != 3:
        raise UsageError(
            f"{type(network).__name__} of KerasHub cannot read texts alone: it takes {', '.join(sorted(inputs))}."
        )
    called = _first_layer(network)._inbound_nodes[0].arguments
    middle = called.args[0] if called.args else called.kwargs["inputs"]
    own_mask = called.kwargs.get("attention_mask")
    width = int(middle.shape[-1])

    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    ids = ops.take(tokens, 0, axis=1) if two else tokens
    kinds = ops.take(tokens, 1, axis=1) if two else ops.zeros_like(ids)
    given = {IDS: ids, SEGMENTS: kinds, MASK: ops.cast(ops.not_equal(ids, PADDING), "int32")}
    below = [key for key in (IDS, SEGMENTS) if key in inputs]
    table = keras.Model([inputs[key] for key in below], middle, name="table")
    embed = keras.Model(tokens, table([given[key] for key in below]), name=EMBED)

    vectors, mask = keras.Input((length, width), name="vectors"), keras.Input((length,), dtype="bool", name="mask")
    if MASK in inputs:
        layers = keras.Model([middle, inputs[MASK]], sequence, name="layers")
        states = layers([vectors, ops.cast(mask, "int32")])
    elif own_mask is not None:  # made of the token numbers within the network
        layers = keras.Model([middle, own_mask], sequence, name="layers")
        states = layers([vectors, mask])
    else:
        # A network that knows no padding still mixes it in; a mask keeps it out of what the layers read.
        layers = keras.Model(middle, sequence, name="layers")
        states = layers(vectors * ops.cast(ops.expand_dims(mask, -1), vectors.dtype))
    encoder = keras.Model([vectors, mask], states, name=ENCODER)

    there = ops.not_equal(ids, PADDING)
    found = encoder([embed(tokens), there])
    features = found if pool == "none" else _pool(network, length, int(states.shape[-1]), pool)([found, there])
    return keras.Model(tokens, features, name=name)


def _first_layer(network: Any) -> Any:
    layers = getattr(network, "transformer_layers", None)
    table = getattr(network, "token_embedding", None)
    if not layers or table is None or table.name != TABLE:
        raise UsageError(
            f"{type(network).__name__} of KerasHub has no table of tokens with Transformer layers on top of it, so kptk cannot "
            "teach it: only encoders and decoders of texts alone are supported."
        )
    first = layers[0]
    return first[0] if isinstance(first, (list, tuple)) else first  # ALBERT has groups of layers


def _pool(network: Any, length: int, width: int, kind: str) -> keras.Model:
    vectors, mask = keras.Input((length, width), name="vectors"), keras.Input((length,), dtype="bool", name="mask")
    if kind == "cls":
        x = ops.take(vectors, 0, axis=1)
        dense = getattr(network, "pooled_dense", None)
        x = dense(x) if dense is not None else x
    else:
        weights = ops.cast(mask, "float32")
        weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        x = ops.sum(vectors * ops.cast(ops.expand_dims(weights, -1), vectors.dtype), axis=1)
    return keras.Model([vectors, mask], x, name=POOL)
