"""Backbones that work on patches: how an objective reaches their stages, whoever made them.

A patch backbone is a `keras.Model` from images ``(batch, height, width, channels)`` with two models inside:

- ``embed``, from patches ``(batch, count, numbers)`` to tokens ``(batch, leading + count, width)``, positions added. It is
  affine in each patch, so that patches of zeros become their positions and one vector that all of them share. Tokens
  that are no patches (a class token) come first.
- ``encoder``, from tokens of any number to as many tokens.

Its patches are squares, row by row, and the numbers of a patch are in the order row, column, channel: what `patchify`
gives. The Vision Transformers of ``kptk-vision`` are made like this, and a model of one's own may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.types import Tensor

EMBED, ENCODER = "embed", "encoder"
"""Names of the two models inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchStages:
    """The stages of a patch backbone. The models are the backbone's own, not copies.

    Args:
        embed: from patches to tokens with positions.
        encoder: from any number of tokens to as many.
        patch: side of a patch in pixels.
        grid: patches in a column and in a row.
        channels: of the images.
        leading: tokens before those of the patches.
        width: length of a token.
    """

    embed: keras.Model
    encoder: keras.Model
    patch: int
    grid: tuple[int, int]
    channels: int
    leading: int
    width: int

    @property
    def count(self) -> int:
        """Patches of an image."""
        return self.grid[0] * self.grid[1]

    @property
    def numbers(self) -> int:
        """Numbers of a patch."""
        return self.patch**2 * self.channels


def find_stages(backbone: keras.Model) -> PatchStages | None:
    """Find the stages of a patch backbone.

    Args:
        backbone: any model.

    Returns:
        The stages, or None if it is not made of patches.
    """
    inside = {layer.name: layer for layer in backbone.layers if isinstance(layer, keras.Model)}
    if EMBED not in inside or ENCODER not in inside:
        return None
    shape: tuple[Any, ...] = tuple(backbone.input_shape)
    if len(shape) != 4 or None in shape[1:]:
        return None
    embed, encoder = inside[EMBED], inside[ENCODER]
    _, height, width, channels = shape
    _, count, numbers = embed.input_shape
    patch = math.isqrt(numbers // channels)
    grid = (height // patch, width // patch)
    if patch**2 * channels != numbers or grid[0] * grid[1] != count:
        return None
    return PatchStages(
        embed=embed,
        encoder=encoder,
        patch=patch,
        grid=grid,
        channels=channels,
        leading=int(embed.output_shape[1]) - count,
        width=int(embed.output_shape[-1]),
    )


def stages(backbone: keras.Model) -> PatchStages:
    """Return the stages of a patch backbone.

    Args:
        backbone: the model.

    Raises:
        UsageError: if it is not made of patches.
    """
    found = find_stages(backbone)
    if found is None:
        raise UsageError(
            f"`backbone` must work on patches: hold the models '{EMBED}' and '{ENCODER}', see kptk.training.patches. "
            f"Received: {type(backbone).__name__} '{backbone.name}'. Use a Vision Transformer, such as "
            'kptk.backbone("vit_tiny", input_shape=...).'
        )
    return found


def patchify(images: Tensor, patch: int) -> Tensor:
    """Cut images into patches, row by row.

    Args:
        images: shape ``(batch, height, width, channels)``; the sides are multiples of `patch`.
        patch: side of a patch in pixels.

    Returns:
        Shape ``(batch, count, patch * patch * channels)``; the numbers of a patch go by row, column and channel.
    """
    _, height, width, channels = images.shape
    rows, columns = height // patch, width // patch
    x = ops.reshape(images, (-1, rows, patch, columns, patch, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, rows * columns, patch * patch * channels))


def unpatchify(patches: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Put patches together again.

    Args:
        patches: shape ``(batch, count, patch * patch * channels)``.
        grid: patches in a column and in a row.
        patch: side of a patch in pixels.

    Returns:
        Images, shape ``(batch, height, width, channels)``.
    """
    rows, columns = grid
    channels = patches.shape[-1] // patch**2
    x = ops.reshape(patches, (-1, rows, columns, patch, patch, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, rows * patch, columns * patch, channels))


def sine_positions(grid: tuple[int, int], width: int) -> NDArray[np.float32]:
    """Sines and cosines of a patch's row and column, a half of the numbers for each.

    Args:
        grid: patches in a column and in a row.
        width: numbers for each patch, a multiple of 4.

    Returns:
        Shape ``(rows * columns, width)``, row by row.

    Raises:
        UsageError: if the width is no multiple of 4.

    Example:
        >>> sine_positions((2, 3), 8).shape
        (6, 8)

    References:
        https://arxiv.org/abs/1706.03762, section 3.5, for each of the two axes
    """
    if width % 4:
        raise UsageError(f"`width` must be a multiple of 4. Received: {width}.")
    frequencies = 1.0 / 10000.0 ** (np.arange(width // 4) / (width // 4))
    row, column = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    parts: list[Any] = []
    for place in (row, column):
        angles = place.reshape(-1, 1) * frequencies
        parts += [np.sin(angles), np.cos(angles)]
    return np.concatenate(parts, axis=1).astype(np.float32)
