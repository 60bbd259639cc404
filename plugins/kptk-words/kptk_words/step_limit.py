"""Keeps the step of very frequent words in bounds when thousands of pairs make one step.

Published word vectors are trained pair by pair: each step sees what the one before it changed. When a batch adds up the
steps of all its pairs, a word with a thousand pairs in it would move a thousand times as far from the same place, and
overshoot. Above a limit, such a word's steps are averaged down to that many; all other words move by the exact sum.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kptk.types import Tensor


def terms_of(parts: list[tuple[Tensor, Tensor]], size: int) -> Tensor:
    """How many terms of a batch's loss each word has.

    Args:
        parts: pairs of word numbers and of the terms at each of them, of the same shape.
        size: of the vocabulary.

    Returns:
        Shape ``(size,)``.
    """
    flat = [(ops.reshape(ids, (-1,)), ops.reshape(terms, (-1,))) for ids, terms in parts]
    ids, terms = (ops.concatenate(side) if len(side) > 1 else side[0] for side in zip(*flat, strict=True))
    return ops.segment_sum(ops.cast(terms, "float32"), ids, num_segments=size)


def share(terms: Tensor, limit: float) -> Tensor:
    """What part of its summed step each word makes: ``min(1, limit / terms)``.

    Args:
        terms: see `terms_of`.
        limit: so many terms add up in full.
    """
    return ops.minimum(1.0, limit / ops.maximum(terms, 1.0))


@ops.custom_gradient
def scaled_gradient(x: Tensor, scale: Tensor) -> Any:
    """``x`` itself, whose gradient is multiplied by `scale`.

    Args:
        x: any tensor.
        scale: of a shape that broadcasts to that of `x`; it gets no gradient.
    """

    def gradient(*upstreams: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        arriving = upstreams[0] if upstream is None else upstream
        return arriving * scale, ops.zeros_like(scale)

    return x, gradient
