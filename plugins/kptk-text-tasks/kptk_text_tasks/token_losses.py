"""Losses of tokens, and what is counted of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

Array = NDArray[Any]
NO_TOKEN = -1
"""As a target: nothing is to be predicted at this place."""


def token_losses(targets: Tensor, logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy of the tokens, 0 where nothing is to be predicted.

        (1 - s) * -log p(target)  +  s * mean over the vocabulary of -log p

    Args:
        targets: token numbers, `NO_TOKEN` for none, shape ``(batch, length)``.
        logits: shape ``(batch, length, vocabulary)``.
        smoothing: `s`, the weight of the uniform distribution, 0 <= s < 1.

    Returns:
        Shape ``(batch, length)``.

    References:
        Label smoothing, https://arxiv.org/abs/1512.00567
    """
    targets = ops.cast(targets, "int32")
    there = targets >= 0
    chosen = ops.expand_dims(ops.where(there, targets, ops.zeros_like(targets)), -1)
    likely = ops.log_softmax(logits, axis=-1)
    losses = -ops.take_along_axis(likely, chosen, axis=-1)[..., 0]
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * ops.mean(likely, axis=-1)
    return ops.where(there, losses, ops.zeros_like(losses))


def token_mean(targets: Tensor, losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over all tokens of a batch.

    Args:
        targets: shape ``(batch, length)``.
        losses: of `token_losses`.
        weights: of each row, or None.

    Returns:
        A scalar, 0 if there is no token.
    """
    if weights is not None:
        losses = losses * ops.cast(ops.reshape(weights, (-1, 1)), "float32")
    return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(targets >= 0, "float32")), 1.0)


def counts(targets: Tensor, logits: Tensor) -> Tensor:
    """Sum of the losses, number of tokens, and number of those that were likeliest, of each row.

    Args:
        targets: shape ``(batch, length)``.
        logits: shape ``(batch, length, vocabulary)``; logarithms of probabilities will do.

    Returns:
        Shape ``(batch, 3)``.
    """
    targets = ops.cast(targets, "int32")
    there = targets >= 0
    right = ops.logical_and(there, ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), targets))
    losses = token_losses(targets, logits)
    return ops.stack([ops.sum(ops.cast(part, "float32"), axis=-1) for part in (losses, there, right)], axis=-1)


def figures(counted: Array) -> dict[str, float]:
    """Mean loss of a token, perplexity and accuracy.

    Args:
        counted: of `counts`, of all rows.
    """
    loss, tokens, right = counted.astype("float64").sum(axis=0)
    mean = loss / max(tokens, 1)
    return {
        "perplexity": float(np.exp(min(mean, 700.0))),
        "loss": float(mean),
        "token_accuracy": float(right / max(tokens, 1)),
    }
