"""Section of a report: what the attention of a Transformer rests on, where the backbone has one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training.report.html import Html
from kptk.training.report.occlusion import cards, examples

if TYPE_CHECKING:
    from kptk.training.report.page import Page

Array = NDArray[Any]


@contextlib.contextmanager
def recorded(backbone: keras.Model) -> Iterator[list[Array]]:
    """Write down what every attention layer of a backbone attends to while the block runs it eagerly.

    Args:
        backbone: any model; only Keras' own `MultiHeadAttention` layers are heard.

    Yields:
        A list that gets, layer by layer, weights of shape ``(batch, heads, queries, keys)``.
    """
    heard: list[Array] = []
    layers = [layer for layer in backbone._flatten_layers() if type(layer) is keras.layers.MultiHeadAttention]
    for layer in layers:
        vars(layer)["call"] = _listening(layer, heard)  # past Keras' tracking: this is not part of the model
    try:
        yield heard
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def _listening(layer: Any, heard: list[Array]) -> Any:
    usual = layer.call

    def call(*arguments: Any, **options: Any) -> Any:
        result, weights = usual(*arguments, **options | {"return_attention_scores": True})
        heard.append(np.asarray(keras.ops.convert_to_numpy(weights), dtype=np.float64))
        return result

    return call


def rollout(layers: list[Array]) -> Array:
    """How much each output token rests on each input token: attention averaged over heads, half of it passing by each layer.

    Args:
        layers: weights of each layer, shape ``(batch, heads, tokens, tokens)``.

    Returns:
        Shape ``(batch, tokens, tokens)``; each row sums to 1.

    References:
        https://arxiv.org/abs/2005.00928
    """
    tokens = layers[0].shape[-1]
    flow = np.eye(tokens)[None]
    for weights in layers:
        step = 0.5 * weights.mean(axis=1) + 0.5 * np.eye(tokens)
        flow = step @ flow
    return flow / flow.sum(axis=-1, keepdims=True)


def on_the_image(flow: Array, height: int, width: int) -> Array | None:
    """What the features rest on, as a grid over the image: of the class token where there is one, else of all tokens.

    Args:
        flow: from `rollout`.
        height: of the image, in pixels.
        width: of the image.

    Returns:
        Shape ``(batch, rows, columns)``; None if the tokens are no grid of patches.
    """
    tokens = flow.shape[-1]
    for extra in (0, 1):
        rows = round(((tokens - extra) * height / width) ** 0.5)
        if rows and rows * round(rows * width / height) == tokens - extra:
            rests = flow[:, 0, 1:] if extra else flow.mean(axis=1)
            return np.asarray(rests.reshape(len(flow), rows, -1))
    return None


def attention(page: Page) -> Html | None:
    """What the attention of a few rows rests on; None for a backbone without any.

    Args:
        page: a run or a fine-tuning.
    """
    if not page.thorough or not page.pictures:
        return None
    model = page.run.model
    preprocessor = model.preprocessor if hasattr(model, "preprocessor") else model.views
    indices, images = examples(page, preprocessor)
    with recorded(model.backbone) as heard:
        model.backbone(images, training=False)
    square = [weights for weights in heard if weights.shape[-1] == weights.shape[-2] == heard[0].shape[-1]]
    if not square or len(square) != len(heard):
        return None
    grids = on_the_image(rollout(square), *images.shape[1:3])
    if grids is None:
        return None
    # An even spread is no preference: what is above it is drawn.
    found = [np.maximum(grid * grid.size - 1, 0.0) for grid in grids]
    words = [f"up to {grid.max() * grid.size:.1f} times an even share" for grid in grids]
    note = (
        f"Attention of all {len(square)} layers, averaged over heads and multiplied up (rollout). Yellow: the features rest on "
        "this patch more than on others; drawn on the scale of each image."
    )
    return cards(page, indices, images, found, words, note)
