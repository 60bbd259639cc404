"""Which words stand near which, for a whole batch at once.

A batch of word numbers is cut into groups of consecutive centre words, each with the context words that a window around any of
them can reach. Scores of all centres of a group with all its context words are then one small matrix product, and a mask says
which of them are pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kptk.types import Tensor
from kptk_words.vocabulary import FIRST, PADDING


@dataclass(frozen=True, slots=True)
class Groups:
    """Centre words and the context words around them.

    Args:
        centre: word numbers, shape ``(groups, centres)``.
        context: word numbers, shape ``(groups, centres + 2 * window)``; centre i is context word ``i + window``.
        pairs: 1 where centre i and context word j are a pair, else 0, shape ``(groups, centres, centres + 2 * window)``.
    """

    centre: Tensor
    context: Tensor
    pairs: Tensor


def make_groups(ids: Tensor, size: int, window: int, seed: keras.random.SeedGenerator) -> Groups:
    """Cut word numbers into groups and draw each centre's window, uniform in ``1 .. window``.

    Pairs do not reach over a 0, which ends a document, nor over the ends of a row, and hold no unknown word.

    Args:
        ids: word numbers, shape ``(batch, words)``.
        size: centres of a group.
        window: context words on each side at most.
        seed: of the windows.
    """
    words = int(ids.shape[1])
    count = -(-words // size)
    width = size + 2 * window
    places = np.arange(count)[:, None] * size + np.arange(width)[None]  # of the row with `window` zeros before it
    around = ((0, 0), (window, count * size - words + window))
    document = ops.pad(ops.cumsum(ops.cast(ops.equal(ids, PADDING), "int32"), axis=1), around)
    context = _cut(ops.pad(ids, around), places)
    document = _cut(document, places)
    centre, of_centre = context[:, window : window + size], document[:, window : window + size]
    reach = keras.random.randint(ops.shape(centre), 1, window + 1, seed=seed)
    apart = np.abs(np.arange(width)[None] - window - np.arange(size)[:, None])
    apart = ops.convert_to_tensor(apart.astype("int32"))
    near = ops.logical_and(apart > 0, ops.expand_dims(reach, 2) >= apart)
    same = ops.equal(ops.expand_dims(of_centre, 2), ops.expand_dims(document, 1))
    known = ops.logical_and(ops.expand_dims(centre >= FIRST, 2), ops.expand_dims(context >= FIRST, 1))
    return Groups(centre, context, ops.cast(ops.logical_and(ops.logical_and(near, same), known), "float32"))


def _cut(rows: Tensor, places: np.ndarray) -> Tensor:
    return ops.reshape(ops.take(rows, ops.convert_to_tensor(places.astype("int32")), axis=1), (-1, places.shape[1]))
