"""Negative sampling: the noise distribution and the loss."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor


def noise_distribution(counts: NDArray[np.int64], power: float = 0.75) -> NDArray[np.float64]:
    """Probability of each word as a negative: ``count ** power``, normalised.

    Args:
        counts: occurrences, shape ``(words,)``, not all 0.
        power: 1 for the words' frequency, 0 for all alike.

    Returns:
        Shape ``(words,)``; 0 for words that do not occur.

    Example:
        >>> noise_distribution(np.array([16, 1, 0])).round(3).tolist()
        [0.889, 0.111, 0.0]

    References:
        https://arxiv.org/abs/1310.4546, section 2.2
    """
    weight = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** power, 0.0)
    return weight / weight.sum()


def draw(cumulative: Tensor, shape: tuple[Tensor | int, int], seed: keras.random.SeedGenerator) -> Tensor:
    """Draw words from a distribution, independently.

    Args:
        cumulative: sums of the probabilities up to each word, the last one 1, shape ``(words,)``.
        shape: how many.
        seed: of the draws.

    Returns:
        Word numbers of that shape.
    """
    uniform = ops.reshape(keras.random.uniform(shape, seed=seed), (-1,))
    return ops.reshape(ops.cast(ops.searchsorted(cumulative, uniform, side="right"), "int32"), shape)


def negative_sampling_loss(
    positive_scores: Tensor, positive: Tensor, negative_scores: Tensor, negative: Tensor
) -> Tensor:
    """Sum of ``-log sigmoid(s)`` over pairs of the text and ``-log sigmoid(-s)`` over pairs with drawn words.

    Args:
        positive_scores: products of an input and an output vector, any shape.
        positive: how often each of them counts, same shape; 0 for no pair.
        negative_scores: products of an input vector and that of a drawn word, any shape.
        negative: how often each of them counts, same shape.

    Returns:
        A scalar.

    Example:
        >>> round(float(negative_sampling_loss(ops.zeros(1), ops.ones(1), ops.zeros(5), ops.ones(5))), 3)  # 6 ln 2
        4.159

    References:
        https://arxiv.org/abs/1310.4546, equation 4
    """
    return ops.sum(positive * ops.softplus(-positive_scores)) + ops.sum(negative * ops.softplus(negative_scores))


def summed(total: Tensor, count: Tensor) -> Tensor:
    """The mean as value, the gradient of the sum.

    The published methods make a step of the learning rate for each pair, so a batch's step is the sum of them; as a figure, the
    mean says more.

    Args:
        total: sum of the losses, a scalar.
        count: how many there are, a scalar.
    """
    mean = total / ops.maximum(count, 1.0)
    return ops.stop_gradient(mean) + (total - ops.stop_gradient(total))
