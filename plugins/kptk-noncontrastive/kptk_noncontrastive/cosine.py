"""The similarity that BYOL and SimSiam share."""

from __future__ import annotations

from keras import ops

from kptk.training.tensors import unit_length
from kptk.types import Tensor


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """``-mean(cos(p, z))``; no gradient reaches the targets.

    Args:
        predictions: `p`, shape ``(N, dim)``.
        targets: `z`, shape ``(N, dim)``.

    Returns:
        A scalar from -1, all the same, to 1; 0 where predictions say nothing.

    References:
        https://arxiv.org/abs/2011.10566, equation 1; https://arxiv.org/abs/2006.07733, equation 2.
    """
    targets = ops.stop_gradient(targets)
    return -ops.mean(ops.sum(unit_length(predictions) * unit_length(targets), axis=-1))
