"""Keys and values that are kept, so that a network of a text reads each token once while the text is written.

In a causal network a token's keys and values depend on the tokens before it alone, so they stay as they are when the text grows.
A network of Keras' layers is walked layer by layer for one token: what works on each token by itself does so, and attention reads
the keys and values that are kept. That needs no layer of kptk's own, and changes no network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kptk.types import Tensor

ATTENTION = keras.layers.MultiHeadAttention
BY_TOKEN = (keras.layers.Dense, keras.layers.LayerNormalization, keras.layers.RMSNormalization, keras.layers.Embedding)
"""Layers with weights that work on each token by itself."""
FAR = -1e9
"""Score of what must not be read."""

Cache = tuple[Tensor, ...]
"""Tensors whose first axis is the batch: keys and values of each attention, in the order in which the network is walked."""


def at(sequence: Tensor, place: Tensor) -> Tensor:
    """One place of a sequence, which stays a sequence.

    Args:
        sequence: shape ``(batch, length, ...)``.
        place: a whole number.

    Returns:
        Shape ``(batch, 1, ...)``.
    """
    return ops.expand_dims(ops.take(sequence, place, axis=1), 1)


def keeps(network: keras.Model) -> bool:
    """Whether a network is made of layers that can be walked: attention, and layers that work on each token by itself.

    Whether the walk gives the same is still to be tried: layers without weights may do anything.

    Args:
        network: a functional model.
    """
    return _is_graph(network) and _attends(network) and all(_known(layer) for layer in network.layers)


def fill(network: keras.Model, inputs: list[Tensor]) -> Cache:
    """Run a network over whole rows and keep the keys and values of every place.

    Those of places behind a text mean nothing; `step` writes over them when the text has got there.

    Args:
        network: a functional model for which `keeps` holds.
        inputs: as it takes them.
    """
    kept: list[Tensor] = []

    def visit(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if type(layer) is ATTENTION:
            given = _bound(args, kwargs)
            kept.extend((layer.key_dense(given["key"]), layer.value_dense(given["value"])))
        elif _takes_cache(layer):
            made, cache = layer(*args, **kwargs, self_attention_cache=_empty(layer, args), **_first(0))
            kept.append(cache)
            return made
        return layer(*args, **kwargs)

    _walk(network, inputs, visit)
    return tuple(kept)


def step(network: keras.Model, inputs: list[Tensor], cache: Cache, place: Tensor) -> tuple[Tensor, Cache]:
    """The vectors of one place, from what is kept of those before it.

    Args:
        network: as for `fill`.
        inputs: as it takes them; vectors of the sequence only those of the place, shape ``(batch, 1, width)``, token numbers and
            masks whole. What is only read by cross-attention may be anything: its keys and values are kept.
        cache: what was kept.
        place: a whole number.

    Returns:
        Shape ``(batch, 1, width)``; and the cache with this place.
    """
    kept, number = list(cache), 0

    def visit(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal number
        if type(layer) is ATTENTION:
            given = _bound(args, kwargs)
            own = given["value"] is given["query"] and given["key"] is given["query"]
            if own:
                for offset, dense in enumerate((layer.key_dense, layer.value_dense)):
                    old = kept[number + offset]
                    new = ops.cast(dense(given["query"]), old.dtype)
                    kept[number + offset] = ops.slice_update(old, (0, place, 0, 0), new)
            keys, values = kept[number : number + 2]
            number += 2
            allowed = _allowed(given.get("attention_mask"), int(keys.shape[1]) if own else 0, place)
            return attend(layer, given["query"], keys, values, allowed)
        if _takes_cache(layer):
            made, kept[number] = layer(*args, **kwargs, self_attention_cache=kept[number], **_first(place))
            number += 1
            return made
        made = layer(*args, **kwargs)
        return at(made, place) if type(layer) is keras.layers.Embedding else made

    return _walk(network, inputs, visit), tuple(kept)


def attend(layer: Any, query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None) -> Tensor:
    """What an attention layer makes of keys and values that are projected already, in inference mode.

    Args:
        layer: a `keras.layers.MultiHeadAttention`.
        query: not projected yet, shape ``(batch, 1, width)``.
        keys: shape ``(batch, length, heads, key_dim)``.
        values: shape ``(batch, length, heads, value_dim)``.
        allowed: what may be read, of a shape that goes with ``(batch, 1, length)``, or None for all.

    Returns:
        Shape ``(batch, 1, width)``.

    References:
        https://arxiv.org/abs/1706.03762, section 3.2
    """
    # b: batch, q: places that ask, k: places that answer, h: heads, d: numbers of a head
    scores = ops.einsum("bqhd,bkhd->bhqk", layer.query_dense(query) * layer.key_dim**-0.5, keys)
    scores = ops.cast(scores, "float32")
    if allowed is not None:
        scores = ops.where(ops.expand_dims(allowed, 1), scores, ops.full_like(scores, FAR))
    weights = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
    return layer.output_dense(ops.einsum("bhqk,bkhd->bqhd", weights, values))


def _allowed(mask: Tensor | None, length: int, place: Tensor) -> Tensor | None:
    """What the token at a place may read: of its own text, of `length`, only what is not behind it."""
    seen = ops.expand_dims(ops.arange(length) <= place, (0, 1)) if length else None
    if mask is None:
        return seen
    mask = ops.cast(mask, "bool")
    mask = mask if mask.shape[-2] == 1 else at(mask, place)
    return mask if seen is None else ops.logical_and(mask, seen)


def _bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    given = dict(inspect.signature(ATTENTION.call).bind(None, *args, **kwargs).arguments)
    given["key"] = given["value"] if given.get("key") is None else given["key"]
    return given


def _takes_cache(layer: Any) -> bool:
    """Whether a layer keeps its keys and values itself, as KerasHub's `TransformerDecoder` does."""
    return "self_attention_cache" in inspect.signature(layer.call).parameters if _is_layer(layer) else False


def _first(place: Any) -> dict[str, Any]:
    return {"self_attention_cache_update_index": place}


def _empty(layer: Any, args: tuple[Any, ...]) -> Tensor:
    """A cache for such a layer: keys and values of every place, shape ``(batch, 2, length, heads, numbers of a head)``."""
    vectors = args[0]
    heads = int(layer.num_heads)
    batch, length, width = ops.shape(vectors)
    return ops.zeros((batch, 2, length, heads, int(width) // heads), dtype=layer.compute_dtype)


def _is_layer(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Layer)


def _is_graph(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and callable(getattr(layer, "_run_through_graph", None))


def _attends(network: Any) -> bool:
    return any(_is_attention(layer) or (_is_graph(layer) and _attends(layer)) for layer in network.layers)


def _is_attention(layer: Any) -> bool:
    return type(layer) is ATTENTION or _takes_cache(layer)


def _known(layer: Any) -> bool:
    """Whether a layer is attention that keeps, works on each token by itself, or has nothing to learn."""
    if _is_graph(layer):
        return all(_known(inner) for inner in layer.layers)
    if isinstance(layer, keras.Sequential):  # called as a whole
        return all(_known(inner) and not _is_attention(inner) for inner in layer.layers)
    return _is_attention(layer) or not layer.weights or type(layer) in BY_TOKEN


def _walk(network: Any, inputs: Any, visit: Callable[..., Any]) -> Any:
    """Run a functional model, with a function in the place of each layer's call."""

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return _walk(layer, args[0], visit) if _is_graph(layer) else visit(layer, *args, **kwargs)

    made = network._run_through_graph(inputs, call_fn=call)
    return made[0] if isinstance(made, (list, tuple)) and len(made) == 1 else made
