"""Pairs: rows of two inputs of one kind, which one backbone reads each by itself."""

from __future__ import annotations

import keras
from keras import ops

from kptk.errors import InputError
from kptk.training.features import pooled
from kptk.types import Tensor

SIDES = 2


def folded(pairs: Tensor) -> Tensor:
    """Both sides of each pair as two rows that follow each other.

    Args:
        pairs: shape ``(batch, 2, ...)``.

    Returns:
        Shape ``(2 * batch, ...)``.

    Raises:
        InputError: if the rows are no pairs.
    """
    pairs = ops.convert_to_tensor(pairs)
    if len(pairs.shape) < 3 or pairs.shape[1] != SIDES:
        raise InputError(
            f"rows must be pairs, of shape (rows, 2, ...): both inputs of a pair, one behind the other. Received: shape "
            f"{tuple(pairs.shape)}."
        )
    return ops.reshape(pairs, (-1, *ops.shape(pairs)[2:]))


def unfolded(rows: Tensor) -> Tensor:
    """The pairs again.

    Args:
        rows: as `folded` orders them, shape ``(2 * batch, ...)``.

    Returns:
        Shape ``(batch, 2, ...)``.
    """
    return ops.reshape(rows, (-1, SIDES, *ops.shape(rows)[1:]))


def both_sides(backbone: keras.Model) -> keras.Model:
    """A network from pairs to the features of both sides, in one pass of the backbone, whose weights it shares.

    Batch normalisation sees both sides as one batch.

    Args:
        backbone: from inputs to features.

    Returns:
        A functional model with outputs ``(batch, 2, dim)``.
    """
    inputs = keras.Input((SIDES, *backbone.input_shape[1:]), dtype=backbone.inputs[0].dtype, name="pairs")
    rows = ops.concatenate([inputs[:, 0], inputs[:, 1]], axis=0)
    first, second = ops.split(pooled(backbone(rows)), SIDES, axis=0)
    return keras.Model(inputs, ops.stack([first, second], axis=1), name=f"{backbone.name}_pairs")
