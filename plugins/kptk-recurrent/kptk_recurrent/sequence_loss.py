"""The loss of a predicted sequence."""

from __future__ import annotations

from keras import ops

from kptk.types import Tensor


def sequence_loss(predicted: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Mean error of the steps that are there: cross-entropy of tokens, or the squared error of numbers.

    Args:
        predicted: logits ``(batch, steps, tokens)``, or numbers ``(batch, steps, channels)``.
        wanted: tokens ``(batch, steps)``, integers, or numbers ``(batch, steps, channels)``.
        mask: which steps count, ``(batch, steps)``.

    Returns:
        A scalar.

    Example:
        >>> loss = sequence_loss(ops.zeros((1, 2, 4)), ops.array([[1, 2]]), ops.array([[True, True]]))
        >>> round(float(loss), 4)  # ln 4
        1.3863
    """
    predicted = ops.cast(predicted, "float32")
    weights = ops.cast(mask, "float32")
    if len(wanted.shape) == 2:
        errors = -ops.sum(ops.one_hot(wanted, predicted.shape[-1]) * ops.log_softmax(predicted, axis=-1), axis=-1)
    else:
        errors = ops.mean(ops.square(predicted - ops.cast(wanted, "float32")), axis=-1)
    return ops.sum(weights * errors) / ops.maximum(ops.sum(weights), 1.0)
