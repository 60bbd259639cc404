"""What the conformance kit needs to know of blocks of words, and of counted pairs of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kptk.testing.toys import CLASSES, Toy, register_toy
from kptk_words.cooccurrences import Cooccurrences
from kptk_words.vocabulary import FIRST
from kptk_words.word_vectors import word_vectors
from kptk_words.words import Words

WORDS = 8


def pairs(count: int, seed: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Pairs of words of which those of one class stand together often.

    Args:
        count: how many.
        seed: decides all of them.

    Returns:
        Rows of word, word and a count, shape ``(count, 3)``, and the class of the first word.
    """
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, WORDS, (2, count))
    together = np.where(i % CLASSES == j % CLASSES, 6.0, 1.0) * rng.uniform(0.5, 1.5, count)
    return np.stack([FIRST + i, FIRST + j, together], axis=1).astype("float32"), (i % CLASSES).astype("int64")


def blocks(count: int, seed: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Blocks of words that are all of one class.

    Args:
        count: how many.
        seed: decides all of them.

    Returns:
        Word numbers, shape ``(count, 24)``, and the class of each block.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    ids = FIRST + labels[:, None] + CLASSES * rng.integers(0, WORDS // CLASSES, (count, 24))
    return ids.astype("int32"), labels.astype("int64")


register_toy(
    "words",
    Toy(
        inputs=blocks,
        backbone=lambda features: word_vectors((24,), vocabulary=FIRST + WORDS, dim=8),
        views=lambda count: Words(views=count, seed=0),
        shape=lambda smallest: (max(smallest, 24),),
    ),
)

register_toy(
    "pairs",
    Toy(
        inputs=pairs,
        backbone=lambda features: word_vectors((3,), vocabulary=FIRST + WORDS, dim=8),
        views=lambda count: Cooccurrences(views=count, seed=0),
        shape=lambda smallest: (max(smallest, 3),),
    ),
)
