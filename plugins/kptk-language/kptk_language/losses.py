"""The formulas of language objectives, as plain functions of tensors."""

from __future__ import annotations

from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor


def token_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``-log softmax(logits)[target]`` over the places whose weight is not 0.

    Args:
        logits: shape ``(..., vocabulary)``, in float32.
        targets: token numbers, shape ``(...)``.
        weights: shape ``(...)``.

    Returns:
        A scalar; 0 if all weights are.
    """
    chosen = ops.squeeze(ops.take_along_axis(logits, ops.expand_dims(targets, -1), axis=-1), -1)
    losses = ops.logsumexp(logits, axis=-1) - chosen
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1.0)


def next_token_loss(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy of each token, given those before it: ``logits[:, :-1]`` against ``ids[:, 1:]``.

    Args:
        logits: shape ``(batch, length, vocabulary)``.
        ids: token numbers, shape ``(batch, length)``.
        mask: True at tokens, shape ``(batch, length)``.

    Returns:
        A scalar; its exponential is the perplexity.
    """
    return token_cross_entropy(logits[:, :-1], ids[:, 1:], ops.cast(mask[:, 1:], "float32"))


def binary_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``-t log s(x) - (1 - t) log(1 - s(x))`` over the places whose weight is not 0.

    Args:
        logits: `x`, of any shape.
        targets: `t` of 0 or 1.
        weights: of the same shape.
    """
    losses = ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1.0)


def in_batch_ranking(anchors: Tensor, positives: Tensor, temperature: float) -> Tensor:
    """Each anchor tells its own positive among those of the batch, by cosine similarity.

        -log( exp(s_ii / t) / sum_j exp(s_ij / t) )

    Args:
        anchors: shape ``(N, dim)``.
        positives: shape ``(N, dim)``.
        temperature: `t`, above 0.

    Returns:
        A scalar, the mean over the anchors; ``ln N`` where the vectors say nothing.

    References:
        https://arxiv.org/abs/2104.08821, equation 1; known as the multiple negatives ranking loss with a scale of 1 / t
    """
    similarity = ops.matmul(unit_length(anchors), ops.transpose(unit_length(positives))) / temperature
    return ops.mean(ops.logsumexp(similarity, axis=-1) - ops.diagonal(similarity))


def soft_token_targets(student: Tensor, teacher: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """``T^2 KL( softmax(teacher / T) || softmax(student / T) )``, the mean over the places whose weight is not 0.

    Args:
        student: logits, shape ``(..., vocabulary)``.
        teacher: logits, shape ``(..., vocabulary)``.
        weights: shape ``(...)``.
        temperature: `T`, above 0.

    References:
        https://arxiv.org/abs/1503.02531, section 2
    """
    wanted = ops.log_softmax(teacher / temperature, axis=-1)
    given = ops.log_softmax(student / temperature, axis=-1)
    divergence = ops.sum(ops.exp(wanted) * (wanted - given), axis=-1)
    return temperature**2 * ops.sum(divergence * weights) / ops.maximum(ops.sum(weights), 1.0)


def cosine_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``1 - cos`` of the two vectors of each token, the mean over tokens.

    Args:
        student: shape ``(batch, length, width)``.
        teacher: shape ``(batch, length, width)``.
        mask: True at tokens, shape ``(batch, length)``.

    References:
        https://arxiv.org/abs/1910.01108, section 3
    """
    weights = ops.cast(mask, "float32")
    cosine = ops.sum(unit_length(student) * unit_length(teacher), axis=-1)
    return ops.sum((1.0 - cosine) * weights) / ops.maximum(ops.sum(weights), 1.0)
