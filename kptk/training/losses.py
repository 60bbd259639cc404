"""Formulas that objectives of several plugins need, as plain functions of tensors."""

from __future__ import annotations

from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor


def nt_xent(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy, symmetric: the mean over all 2N anchors.

    For an anchor `i` and its partner `j`, with cosine similarities `s` and temperature `t`:

        l(i, j) = -log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) )

    Args:
        z0: projections of the first views, shape ``(N, dim)``.
        z1: projections of the second views, shape ``(N, dim)``.
        temperature: `t`, above 0.

    Returns:
        A scalar. Where the projections say nothing, it is near ``ln(2N - 1)``.

    References:
        https://arxiv.org/abs/2002.05709, equation 1 and algorithm 1.
    """
    z = unit_length(ops.concatenate([z0, z1], axis=0))  # (2N, dim)
    similarity = ops.matmul(z, ops.transpose(z)) / temperature  # (2N, 2N)
    count = ops.shape(z)[0]
    itself = ops.eye(count, dtype=similarity.dtype)
    denominator = ops.logsumexp(similarity - 1e9 * itself, axis=-1)  # over k != i
    half = ops.sum(z[: count // 2] * z[count // 2 :], axis=-1) / temperature
    partner = ops.concatenate([half, half], axis=0)  # s_ij / t
    return ops.mean(denominator - partner)
