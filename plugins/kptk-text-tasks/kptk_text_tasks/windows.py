"""Windows over what is longer than a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def windows(sizes: Sequence[int] | Ints, room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows of whole items, one after the other, that together hold all of them.

    Args:
        sizes: pieces of each item, such as a word; an item larger than the room counts as the room.
        room: pieces of a window, at least 1.
        overlap: pieces at the end of a window with which the next one begins again, as far as items are whole; below `room`.

    Returns:
        First item, and item behind the last, of each window; one window if all fit in it.

    Example:
        >>> windows([1] * 10, room=4, overlap=1)
        [(0, 4), (3, 7), (6, 10)]
    """
    fitting = np.minimum(np.asarray(sizes, dtype=np.int64), room)
    ends = np.concatenate([[0], np.cumsum(fitting)])
    found, first = [], 0
    while True:
        last = int(np.searchsorted(ends, ends[first] + room, side="right")) - 1
        found.append((first, last))
        if last >= len(fitting):
            return found
        # The next window begins where at most `overlap` pieces of this one are left, and later than this one did.
        first = max(int(np.searchsorted(ends, ends[last] - overlap)), first + 1)


def owners(parts: Sequence[tuple[int, int]], count: int) -> Ints:
    """The window in which each item has most around it on its poorer side, the first of those that are equal.

    Args:
        parts: as `windows` gives them.
        count: items in all.

    Returns:
        A number of a window for each item.

    Example:
        >>> owners([(0, 4), (3, 7), (6, 10)], 10).tolist()
        [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]

    References:
        "maximum context" of BERT's run_squad, https://github.com/google-research/bert
    """
    best = np.full(count, -1, dtype=np.int64)
    owner = np.zeros(count, dtype=np.int64)
    for number, (first, last) in enumerate(parts):
        places = np.arange(first, last)
        around = np.minimum(places - first, last - 1 - places)
        better = around > best[first:last]
        owner[first:last][better] = number
        best[first:last][better] = around[better]
    return owner
