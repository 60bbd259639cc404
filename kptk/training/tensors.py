"""Small functions of tensors that several objectives share."""

from __future__ import annotations

from keras import ops

from kptk.types import Tensor


def unit_length(vectors: Tensor) -> Tensor:
    """Scale vectors to length 1.

    Unlike a division by the norm, its gradient stays finite at zero vectors, on every backend.

    Args:
        vectors: shape ``(..., dim)``.

    Returns:
        The same shape; zero vectors stay zero.
    """
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + 1e-12)
