"""Counts how often words stand near each other, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from kptk_words.scratch import on_disk
from kptk_words.vocabulary import FIRST, PADDING

KEPT = 20_000_000
"""So many different pairs are counted in memory; beyond, sorted parts go to temporary files and are merged at the end."""

PAIRS = "pairs of words"
Counted = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Sorted numbers of pairs, ``i * size + j``, and the sum of each."""


def pairs_within(tokens: NDArray[np.int32], size: int, window: int, symmetric: bool, new: int) -> Counted:
    """Pairs in a stretch of text, each counted ``1 / distance``.

    Args:
        tokens: word numbers; a 0 ends a document.
        size: of the vocabulary.
        window: largest distance.
        symmetric: whether order does not matter; pairs are then given once, smaller number first. Otherwise the earlier word
            is the first of a pair.
        new: only pairs whose later word is at this place or behind it are counted.

    Returns:
        Numbers of pairs in rising order, and their sums.
    """
    document = np.cumsum(tokens == PADDING)
    keys, weights = [], []
    for distance in range(1, window + 1):
        start = max(new, distance)
        later, earlier = (
            tokens[start:].astype(np.int64),
            tokens[start - distance : len(tokens) - distance].astype(np.int64),
        )
        same = document[start:] == document[start - distance : len(tokens) - distance]
        kept = same & (later >= FIRST) & (earlier >= FIRST)
        later, earlier = later[kept], earlier[kept]
        first, second = (np.minimum(later, earlier), np.maximum(later, earlier)) if symmetric else (earlier, later)
        keys.append(first * size + second)
        weights.append(np.full(len(first), 1.0 / distance))
    return added_up([(np.concatenate(keys), np.concatenate(weights))])


def added_up(parts: list[Counted]) -> Counted:
    """Add the sums of equal pairs.

    Args:
        parts: numbers of pairs in any order, with what to add.
    """
    keys, place = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    sums = np.bincount(place, np.concatenate([sums for _, sums in parts]), minlength=len(keys))
    return keys, sums.astype(np.float64)


def count(
    stretches: Iterable[NDArray[np.int32]], size: int, *, window: int, symmetric: bool = True, kept: int = KEPT
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Count the pairs of a corpus.

    Args:
        stretches: word numbers, stretch after stretch of the same corpus; a 0 ends a document.
        size: of the vocabulary.
        window: words on each side.
        symmetric: whether a word also counts as context of those before it.
        kept: different pairs that are held in memory.

    Yields:
        Parts of the table: words i, words j, and the sums, sorted by i and j.

    References:
        https://aclanthology.org/D14-1162/, section 4.2
    """
    counted: Counted = (np.zeros(0, np.int64), np.zeros(0))
    runs: list[Counted] = []
    before = np.zeros(0, np.int32)
    for stretch in stretches:
        tokens = np.concatenate([before, stretch])
        counted = added_up([counted, pairs_within(tokens, size, window, symmetric, len(before))])
        before = tokens[-window:]
        if len(counted[0]) > kept:
            runs.append((on_disk([counted[0]], np.int64, PAIRS), on_disk([counted[1]], np.float64, PAIRS)))
            counted = (np.zeros(0, np.int64), np.zeros(0))
    for keys, found in _merged([*runs, counted], kept):
        i, j = np.divmod(keys, size)
        if not symmetric:
            yield i, j, found
            continue
        other = i != j
        # A pair of a word with itself counts in both directions, on the same place.
        both = np.where(other, found, 2 * found)
        yield np.concatenate([i, j[other]]), np.concatenate([j, i[other]]), np.concatenate([both, found[other]])


def _merged(runs: list[Counted], kept: int) -> Iterator[Counted]:
    """Add up sorted runs, a range of pairs at a time, so that only `kept` pairs or so are in memory."""
    total = sum(len(keys) for keys, _ in runs)
    parts = max(-(-total // kept), 1)
    sample = np.sort(np.concatenate([np.asarray(keys[:: max(len(keys) // (64 * parts), 1)]) for keys, _ in runs]))
    inner = sample[np.linspace(0, len(sample) - 1, parts + 1).astype(int)[1:-1]] if len(sample) else sample
    bounds = [np.iinfo(np.int64).min, *np.unique(inner).tolist(), np.iinfo(np.int64).max]
    for low, high in itertools.pairwise(bounds):
        within = []
        for keys, sums in runs:
            start, stop = np.searchsorted(keys, [low, high])
            within.append((np.asarray(keys[start:stop]), np.asarray(sums[start:stop])))
        found = added_up(within)
        if len(found[0]):
            yield found
