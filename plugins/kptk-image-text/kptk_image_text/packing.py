"""One array for a picture and its tokens, since a step of training has one input: bytes on the way, floats behind the views."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.errors import InputError
from kptk.types import Tensor

TOKEN_BYTES = 3
"""Bytes of a token number, the lowest first: enough for 16 million tokens, and floats hold so large numbers exactly."""

Shape = Sequence[int]


def pack(images: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.uint8]:
    """Put the bytes of pictures and of token numbers side by side.

    Args:
        images: bytes of 0..255, or floats of 0..1 that become bytes, shape ``(batch, height, width, channels)``.
        ids: token numbers, shape ``(batch, length)``.

    Returns:
        Shape ``(batch, height * width * channels + 3 * length)``.

    Raises:
        InputError: if floats lie outside of 0..1.

    Example:
        >>> pack(np.zeros((1, 1, 1, 3), "uint8"), np.array([[258]])).tolist()
        [[0, 0, 0, 2, 1, 0]]
    """
    if images.dtype.kind == "f":
        low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 1.0)
        if not (low >= 0.0 and high <= 1.0):
            raise InputError(f"float images must be 0..1. Received: {low:g}..{high:g}. Divide by 255, or pass bytes.")
        images = np.rint(255 * images).astype(np.uint8)
    numbers = np.asarray(ids, dtype="<u4")
    tokens = np.ascontiguousarray(numbers).view(np.uint8).reshape(*numbers.shape, 4)[..., :TOKEN_BYTES]
    count = len(numbers)
    return np.concatenate([images.reshape(count, -1).astype(np.uint8), tokens.reshape(count, -1)], axis=1)


def packed_size(shape: Shape, length: int) -> int:
    """Bytes of a packed row.

    Args:
        shape: of a picture.
        length: tokens of a row.
    """
    return prod(shape) + TOKEN_BYTES * length


def unpack(rows: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Take packed bytes apart, in the graph.

    Args:
        rows: as `pack` makes them.
        shape: of a picture.

    Returns:
        Bytes ``(batch, height, width, channels)`` and token numbers ``(batch, length)``.
    """
    size = prod(shape)
    pixels = ops.reshape(rows[:, :size], (-1, *shape))
    tokens = ops.cast(ops.reshape(rows[:, size:], (-1, (rows.shape[1] - size) // TOKEN_BYTES, TOKEN_BYTES)), "int32")
    return pixels, tokens[..., 0] + 256 * tokens[..., 1] + 65536 * tokens[..., 2]


def join(pixels: Tensor, ids: Tensor) -> Tensor:
    """One row of floats a pair, as a dual encoder takes it.

    Args:
        pixels: shape ``(batch, height, width, channels)``.
        ids: token numbers, shape ``(batch, length)``.

    Returns:
        Shape ``(batch, height * width * channels + length)``.
    """
    flat = ops.reshape(ops.cast(pixels, "float32"), (-1, prod(pixels.shape[1:])))
    return ops.concatenate([flat, ops.cast(ids, "float32")], axis=1)


def split(rows: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Undo `join`.

    Args:
        rows: shape ``(batch, height * width * channels + length)``.
        shape: of a picture.

    Returns:
        Pictures and token numbers.
    """
    size = prod(shape)
    return ops.reshape(rows[:, :size], (-1, *shape)), ops.cast(rows[:, size:], "int32")


def shape_text(shape: Shape) -> str:
    """A shape as an option's text, ``48x48x3``.

    Args:
        shape: of a picture.
    """
    return "x".join(map(str, shape))
