"""Subsampling of frequent words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def keep_probability(counts: NDArray[np.int64], sample: float) -> NDArray[np.float64]:
    """Probability of keeping an occurrence of each word: ``min(1, (sqrt(f / s) + 1) * s / f)``.

    This is what the C program and gensim do. The text of the paper keeps ``sqrt(s / f)``, which is less.

    Args:
        counts: how often each word occurs, shape ``(words,)``.
        sample: the threshold s, a frequency; 0 keeps everything.

    Returns:
        Shape ``(words,)``, each in 0..1; 1 for words that do not occur.

    Example:
        >>> keep_probability(np.array([999, 1]), 1e-3).round(3).tolist()
        [0.033, 1.0]

    References:
        https://arxiv.org/abs/1310.4546, section 2.3
    """
    frequency = counts / max(counts.sum(), 1)
    if not sample:
        return np.ones(len(counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        keep = (np.sqrt(frequency / sample) + 1) * sample / frequency
    return np.where(frequency > 0, np.minimum(keep, 1.0), 1.0)
