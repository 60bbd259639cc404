"""Formulas of language-image pre-training, as plain functions of tensors."""

from __future__ import annotations

from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor

FAR = 1e9


def clip_loss(image: Tensor, text: Tensor, scale: Tensor, same: Tensor | None = None) -> Tensor:
    """Symmetric cross entropy: each picture finds its text among those of the batch, and each text its picture.

    With unit vectors x of the pictures and y of the texts, and a scale s:

        L = -1/2N sum_i [ log( exp(s x_i.y_i) / sum_j exp(s x_i.y_j) ) + log( exp(s x_i.y_i) / sum_j exp(s x_j.y_i) ) ]

    Args:
        image: projections of the pictures, of any length, shape ``(N, dim)``.
        text: projections of the texts, shape ``(N, dim)``.
        scale: a scalar, the inverse of the temperature.
        same: pairs of rows that do not count as each other's negatives, shape ``(N, N)``; None for none.

    Returns:
        A scalar; ``ln N`` where the projections say nothing.

    References:
        https://arxiv.org/abs/2103.00020, figure 3
    """
    logits = scale * similarity(image, text)  # (N, N)
    right = ops.sum(logits * ops.eye(ops.shape(logits)[0], dtype=logits.dtype), axis=-1)
    if same is not None:
        logits = ops.where(same, ops.full_like(logits, -FAR), logits)
    found = ops.logsumexp(logits, axis=1) + ops.logsumexp(logits, axis=0)
    return ops.mean(0.5 * found - right)


def siglip_loss(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor, same: Tensor | None = None) -> Tensor:
    """Sigmoid loss: each picture with each text is one yes or no, z = 1 for the right one and -1 for the others.

        L = -1/N sum_ij log sigmoid( z_ij (s x_i.y_j + b) )

    Args:
        image: projections of the pictures, of any length, shape ``(N, dim)``.
        text: projections of the texts, shape ``(N, dim)``.
        scale: `s`, a scalar.
        bias: `b`, a scalar.
        same: pairs of rows that do not count as each other's negatives, shape ``(N, N)``; None for none.

    Returns:
        A scalar, the sum over all pairs divided by N.

    References:
        https://arxiv.org/abs/2303.15343, equation 1 and algorithm 1
    """
    logits = scale * similarity(image, text) + bias
    answers = 2.0 * ops.eye(ops.shape(logits)[0], dtype=logits.dtype) - 1.0
    terms = ops.softplus(-answers * logits)  # -log sigmoid
    if same is not None:
        terms = ops.where(same, ops.zeros_like(terms), terms)
    return ops.mean(ops.sum(terms, axis=1))


def matching_loss(logits: Tensor, answers: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy of "do this picture and this text belong together?".

    Args:
        logits: of no and yes, shape ``(pairs, 2)``.
        answers: 1 for yes, shape ``(pairs,)``.
        weights: 0 for a pair that does not count, shape ``(pairs,)``.

    Returns:
        A scalar, the mean of those that count.

    References:
        https://arxiv.org/abs/2107.07651, equation 4
    """
    right = ops.where(ops.equal(answers, 1), logits[:, 1], logits[:, 0])
    terms = (ops.logsumexp(logits, axis=-1) - right) * weights
    return ops.sum(terms) / ops.maximum(ops.sum(weights), 1.0)


def similarity(image: Tensor, text: Tensor) -> Tensor:
    """Cosine of each picture with each text.

    Args:
        image: shape ``(N, dim)``.
        text: shape ``(M, dim)``.

    Returns:
        Shape ``(N, M)``.
    """
    return ops.matmul(unit_length(image), ops.transpose(unit_length(text)))


def same_texts(ids: Tensor) -> Tensor:
    """Which rows have the same text as another one.

    Args:
        ids: token numbers, shape ``(N, length)``.

    Returns:
        Booleans, shape ``(N, N)``, False on the diagonal.
    """
    equal = ops.all(ops.equal(ops.expand_dims(ids, 1), ops.expand_dims(ids, 0)), axis=-1)
    return ops.logical_and(equal, ops.logical_not(ops.cast(ops.eye(ops.shape(ids)[0]), "bool")))
