"""What is hidden and what is kept, as plain functions of tensors."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
from keras import ops

from kptk.types import Tensor

GREY = 0.5
"""How hidden pixels are drawn."""


class Masking(NamedTuple):
    """Which patches of each image are hidden.

    Args:
        keep: places of the visible patches, shape ``(batch, visible)``, in random order.
        restore: place of each patch in the order "visible ones, then hidden ones", shape ``(batch, count)``.
        mask: 1 for a hidden patch and 0 for a visible one, shape ``(batch, count)``, float32.
    """

    keep: Tensor
    restore: Tensor
    mask: Tensor


def visible_count(count: int, ratio: float) -> int:
    """How many patches stay visible: ``int(count * (1 - ratio))``, but at least one, and one is hidden.

    Args:
        count: patches of an image, at least 2.
        ratio: share that is hidden, 0 to 1.

    Example:
        >>> visible_count(196, 0.75)
        49
    """
    # 1 - 0.9 is a little less than 0.1: without the tiny addition 10 patches would keep none.
    return min(max(int(count * (1 - ratio) + 1e-9), 1), count - 1)


def random_masking(noise: Tensor, visible: int) -> Masking:
    """Keep the patches of smallest noise and hide the others: exactly as many in each image.

    Args:
        noise: a random number for each patch, shape ``(batch, count)``.
        visible: how many patches to keep.

    Returns:
        The masking.

    References:
        https://arxiv.org/abs/2111.06377, section 3: a random shuffle, without replacement.
    """
    order = ops.argsort(noise, axis=1)
    restore = ops.argsort(order, axis=1)
    return Masking(order[:, :visible], restore, ops.cast(restore >= visible, "float32"))


def take_tokens(tokens: Tensor, places: Tensor) -> Tensor:
    """Take tokens of each example by their places.

    Args:
        tokens: shape ``(batch, length, width)``.
        places: integers below `length`, shape ``(batch, taken)``.

    Returns:
        Shape ``(batch, taken, width)``.
    """
    return ops.take_along_axis(tokens, ops.expand_dims(places, -1), axis=1)


def random_squares(
    seed: keras.random.SeedGenerator | int, batch: Tensor, cells: tuple[int, int], ratio: float
) -> Tensor:
    """Hide random cells of a grid: ``ceil(cells * ratio)`` in each image, but not all.

    Args:
        seed: of the random numbers.
        batch: how many images.
        cells: rows and columns of the grid, together at least 2.
        ratio: share that is hidden, 0 to 1.

    Returns:
        1 for a hidden cell and 0 for a visible one, shape ``(batch, rows, columns)``, float32.

    References:
        https://arxiv.org/abs/2111.09886, section 3.2
    """
    count = cells[0] * cells[1]
    hidden = min(max(math.ceil(count * ratio - 1e-9), 1), count - 1)
    masking = random_masking(keras.random.uniform((batch, count), seed=seed, dtype="float32"), count - hidden)
    return ops.reshape(masking.mask, (-1, *cells))


def enlarged(mask: Tensor, factor: int, shape: tuple[int, int]) -> Tensor:
    """Make each cell of a mask a square, and cut what hangs over the edge.

    Args:
        mask: shape ``(batch, rows, columns)``.
        factor: side of the squares.
        shape: rows and columns of the result, at most `factor` times those of the mask.

    Returns:
        Shape ``(batch, *shape)``.
    """
    mask = ops.repeat(ops.repeat(mask, factor, axis=1), factor, axis=2)
    return mask[:, : shape[0], : shape[1]]


def explained(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Share of the variance of what is hidden that a prediction explains: 1 if perfect, 0 for always guessing the mean.

    Args:
        prediction: any shape.
        target: the same shape.
        mask: 1 where hidden; a shape that broadcasts to the other two.

    Returns:
        A scalar of at most 1; below 0 for worse than the mean.
    """
    mask = ops.broadcast_to(mask, ops.shape(target))
    total = ops.sum(mask)
    mean = ops.sum(mask * target) / total
    error = ops.sum(mask * ops.square(prediction - target))
    variance = ops.sum(mask * ops.square(target - mean))
    return 1.0 - error / ops.maximum(variance, 1e-6 * total)
