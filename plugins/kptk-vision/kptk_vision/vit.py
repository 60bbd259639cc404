"""Vision Transformers (Dosovitskiy and others, 2020) of three sizes and any other, from Keras' own layers."""

from __future__ import annotations

from typing import Any

import keras

from kptk.errors import UsageError, bad_value
from kptk.training.patches import EMBED, ENCODER, sine_positions
from kptk.training.transformer import encoder

SMALL_SIDE = 64
"""Images below this side get small patches by default."""


def vit(
    input_shape: tuple[int, ...],
    *,
    patch: int = 0,
    depth: int = 12,
    width: int = 192,
    heads: int = 3,
    pool: str = "average",
    name: str = "vit",
) -> keras.Model:
    """Build a Vision Transformer: patches, a linear embedding with learned positions, pre-norm blocks, a norm.

    Pixels are brought to -1..1 first. The positions are learned and start as the sines and cosines of row and column:
    masked autoencoding needs to know at once where the few patches are that it sees, and fine-tuning may change them.
    They are the bias of the embedding, one vector for each place, which needs no layer of its own. So is the class token: it
    is the embedding of a row of zeros before the patches. Of the published network it lacks the two vectors that these
    make redundant.

    The model holds two others, ``embed`` and ``encoder``, as `kptk.training.patches` describes.

    Args:
        input_shape: ``(height, width, channels)``, sides that are multiples of the patch.
        patch: side of a patch in pixels; 0 for 4 below 64 pixels, else 16.
        depth: blocks.
        width: length of a token, a multiple of 4 and of the heads.
        heads: attention heads of a block.
        pool: ``"average"`` of the tokens, ``"cls"`` for a class token, or ``"none"`` for all tokens.
        name: name of the model.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, width)``, or ``(batch, count, width)``
        without pooling.

    Raises:
        UsageError: if the sizes do not go together.

    Example:
        >>> vit((28, 28, 1), depth=2, width=16, heads=2, pool="none").output_shape
        (None, 49, 16)

    References:
        https://arxiv.org/abs/2010.11929
    """
    patch = patch or (4 if min(input_shape[:2]) < SMALL_SIDE else 16)
    _check(input_shape, patch, width, heads, pool)
    rows, columns = input_shape[0] // patch, input_shape[1] // patch
    numbers = patch * patch * input_shape[2]
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Reshape((rows, patch, columns, patch, input_shape[2]), name="cut")(images)
    x = keras.layers.Permute((1, 3, 2, 4, 5), name="sort")(x)
    x = keras.layers.Reshape((rows * columns, numbers), name="patches")(x)
    x = _embedding(rows, columns, numbers, width, class_token=pool == "cls")(x)
    x = encoder(width, depth=depth, heads=heads, name=ENCODER)(x)
    if pool == "average":
        x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    elif pool == "cls":
        x = keras.layers.Cropping1D((0, rows * columns), name="class_token")(x)
        x = keras.layers.Reshape((width,), name="flatten")(x)
    return keras.Model(images, x, name=name)


def _embedding(rows: int, columns: int, numbers: int, width: int, *, class_token: bool) -> keras.Model:
    """The stage from patches to tokens. The bias of its one layer, a vector for each token, holds the positions."""
    count = rows * columns
    patches = keras.Input((count, numbers), name="patches")
    # To -1..1, as published: a black patch says something too, and pixels weigh about as much as positions.
    x: Any = keras.layers.Rescaling(2.0, offset=-1.0, name="centre")(patches)
    if class_token:
        x = keras.layers.ZeroPadding1D((1, 0), name="class_token")(x)
    project = keras.layers.EinsumDense(
        "bnp,pd->bnd",
        output_shape=(count + class_token, width),
        bias_axes="nd",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.02),
        name="project",
    )
    model = keras.Model(patches, project(x), name=EMBED)
    positions = keras.ops.convert_to_numpy(project.bias).copy()
    positions[int(class_token) :] = sine_positions((rows, columns), width)
    project.bias.assign(positions)
    return model


def _check(input_shape: tuple[int, ...], patch: int, width: int, heads: int, pool: str) -> None:
    height, wide = input_shape[:2]
    if height % patch or wide % patch:
        fitting = [side for side in range(2, min(height, wide) // 2 + 1) if height % side == wide % side == 0]
        hint = f"Patches of {', '.join(map(str, fitting))} pixels fit" if fitting else "No patch fits this size"
        raise UsageError(
            f"`patch` must divide both sides of the images. Received: patch {patch} for images of {height} x {wide}. "
            f"{hint}; or change the size (-o preprocessor.size=, -o data.image_size=)."
        )
    if width % heads or width % 4:
        raise bad_value("width", f"a multiple of 4 and of the {heads} heads", width)
    if pool not in ("average", "cls", "none"):
        raise bad_value("pool", "'average', 'cls' or 'none'", pool)


def vit_tiny(
    input_shape: tuple[int, ...],
    *,
    patch: int = 0,
    depth: int = 12,
    width: int = 192,
    heads: int = 3,
    pool: str = "average",
) -> keras.Model:
    """Build ViT-Ti, or a smaller one.

    Args:
        input_shape: ``(height, width, channels)``.
        patch: side of a patch in pixels; 0 for 4 below 64 pixels, else 16.
        depth: blocks.
        width: length of a token.
        heads: attention heads of a block.
        pool: ``"average"``, ``"cls"`` or ``"none"``, see `vit`.

    Example:
        >>> vit_tiny((28, 28, 1), depth=4, width=96).output_shape
        (None, 96)
    """
    return vit(input_shape, patch=patch, depth=depth, width=width, heads=heads, pool=pool, name="vit_tiny")


def vit_small(
    input_shape: tuple[int, ...],
    *,
    patch: int = 0,
    depth: int = 12,
    width: int = 384,
    heads: int = 6,
    pool: str = "average",
) -> keras.Model:
    """Build ViT-S.

    Args:
        input_shape: ``(height, width, channels)``.
        patch: side of a patch in pixels; 0 for 4 below 64 pixels, else 16.
        depth: blocks.
        width: length of a token.
        heads: attention heads of a block.
        pool: ``"average"``, ``"cls"`` or ``"none"``, see `vit`.
    """
    return vit(input_shape, patch=patch, depth=depth, width=width, heads=heads, pool=pool, name="vit_small")


def vit_base(
    input_shape: tuple[int, ...],
    *,
    patch: int = 0,
    depth: int = 12,
    width: int = 768,
    heads: int = 12,
    pool: str = "average",
) -> keras.Model:
    """Build ViT-B.

    Args:
        input_shape: ``(height, width, channels)``.
        patch: side of a patch in pixels; 0 for 4 below 64 pixels, else 16.
        depth: blocks.
        width: length of a token.
        heads: attention heads of a block.
        pool: ``"average"``, ``"cls"`` or ``"none"``, see `vit`.
    """
    return vit(input_shape, patch=patch, depth=depth, width=width, heads=heads, pool=pool, name="vit_base")
