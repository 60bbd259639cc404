"""Moves the kept words of each row together, in a graph of fixed shape."""

from __future__ import annotations

from keras import ops

from kptk.types import Tensor


def compact(ids: Tensor, keep: Tensor, length: int) -> Tensor:
    """Keep some numbers of each row, in their order; zeros fill what is left.

    Args:
        ids: shape ``(batch, words)``.
        keep: which ones, boolean, shape ``(batch, words)``.
        length: how many fit into a row of the result; later ones are cut.

    Returns:
        Shape ``(batch, length)``.

    Example:
        >>> kept = compact(ops.array([[5, 6, 7]]), ops.array([[True, False, True]]), 3)
        >>> ops.convert_to_numpy(kept).tolist()
        [[5, 7, 0]]
    """
    batch = ops.shape(ids)[0]
    place = ops.cumsum(ops.cast(keep, "int32"), axis=1) - 1
    row = ops.expand_dims(ops.arange(batch, dtype="int32"), 1) * length
    end = batch * length  # one more place, for everything that is left out
    place = ops.where(ops.logical_and(keep, place < length), row + place, end)
    target = ops.zeros((end + 1,), dtype=ids.dtype)
    moved = ops.scatter_update(target, ops.reshape(place, (-1, 1)), ops.reshape(ids, (-1,)))
    return ops.reshape(moved[:-1], (batch, length))
