"""Losses of pairs, as plain functions of tensors."""

from __future__ import annotations

from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor

FAR = -1e9
"""Takes an entry out of a sum of exponentials."""


def cosines(embeddings: Tensor) -> Tensor:
    """Cosine of the two sides of each pair.

    Args:
        embeddings: of length 1, shape ``(batch, 2, dim)``.

    Returns:
        Shape ``(batch,)``.
    """
    return ops.sum(embeddings[:, 0] * embeddings[:, 1], axis=-1)


def cosine_errors(scores: Tensor, embeddings: Tensor) -> Tensor:
    """Squared difference of each pair's cosine and its score.

    Args:
        scores: in the range 0..1, shape ``(batch,)``.
        embeddings: of length 1, shape ``(batch, 2, dim)``.

    Returns:
        Shape ``(batch,)``.

    References:
        Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3
    """
    return ops.square(cosines(embeddings) - scores)


def cosent(scores: Tensor, embeddings: Tensor, temperature: float) -> Tensor:
    """How far the order of the cosines is from the order of the scores: only the order counts.

        log(1 + sum over i, j with score_i > score_j of exp((cos_j - cos_i) / t))

    Args:
        scores: in any unit, NaN where there is none, shape ``(batch,)``.
        embeddings: of length 1, shape ``(batch, 2, dim)``.
        temperature: `t`, above 0.

    Returns:
        A scalar; 0 if no two scores differ.

    References:
        Su 2022, CoSENT, https://kexue.fm/archives/8847; Li and Li 2023, equation 2, https://arxiv.org/abs/2309.12871
    """
    cosine = cosines(embeddings)
    wrong = (cosine[None, :] - cosine[:, None]) / temperature  # [i, j]: cos_j - cos_i
    wrong = ops.where(scores[:, None] > scores[None, :], wrong, ops.full_like(wrong, FAR))
    terms = ops.concatenate([ops.zeros_like(cosine[:1]), ops.reshape(wrong, (-1,))], axis=0)
    return ops.logsumexp(terms)


def multiple_negatives(embeddings: Tensor, temperature: float, numbers: Tensor | None = None) -> Tensor:
    """Cross-entropy of finding the second side of a pair, by the first, among the second sides of the batch.

        -log( exp(cos(a_i, b_i) / t) / sum over j of exp(cos(a_i, b_j) / t) )

    Two pairs that have an input in common are not each other's negatives: such a `j` is left out of the sum.

    Args:
        embeddings: of any length, shape ``(batch, 2, dim)``.
        temperature: `t`, above 0; 1 / 20 in Sentence-BERT's code.
        numbers: which input each side is, equal for equal inputs, shape ``(batch, 2)``; None if all are different.

    Returns:
        Shape ``(batch,)``.

    References:
        Henderson et al. 2017, section 4.4, https://arxiv.org/abs/1705.00652; https://arxiv.org/abs/1908.10084
    """
    embeddings = unit_length(embeddings)
    logits = ops.matmul(embeddings[:, 0], ops.transpose(embeddings[:, 1])) / temperature
    own = ops.eye(ops.shape(logits)[0], dtype="bool")
    if numbers is not None:
        # [i, side of i, j, side of j]
        equal = ops.equal(numbers[:, :, None, None], numbers[None, None, :, :])
        shared = ops.logical_and(ops.any(equal, axis=(1, 3)), ops.logical_not(own))
        logits = ops.where(shared, ops.full_like(logits, FAR), logits)
    right = ops.sum(ops.where(own, logits, ops.zeros_like(logits)), axis=1)
    return ops.logsumexp(logits, axis=1) - right
