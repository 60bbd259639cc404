"""Finds rows that are the same, or nearly the same, also between two parts of the data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
SIDE = 8
"""Rows and columns of differences of a difference hash: 64 bits."""
BANDS = 4
"""Parts of a hash; two hashes that differ in fewer bits than that have one part in common."""
NEAR = BANDS - 1
"""Bits in which the hashes of near duplicates differ at most."""
THUMB = 16
"""Side of the small grey copies by which pictures with like hashes are compared."""
CLOSE = 0.985
"""Correlation of the small copies of near duplicates at least: brightness and contrast may differ, the drawing may not."""
LARGEST_BUCKET = 200
"""Pictures of one part of a hash that are compared with each other: more have nothing special in common."""


def identical(digests: Sequence[bytes]) -> list[list[int]]:
    """Groups of rows with one digest, of two and more.

    Args:
        digests: one a row.

    Example:
        >>> identical([b"x", b"y", b"x"])
        [[0, 2]]
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        groups[digest].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def shared(first: Sequence[bytes], second: Sequence[bytes]) -> list[tuple[int, int]]:
    """Rows of the second part that are in the first one too: pairs of row numbers, the first match of each.

    Args:
        first: digests of one part.
        second: digests of another.
    """
    places: dict[bytes, int] = {}
    for row, digest in enumerate(first):
        places.setdefault(digest, row)
    return [(places[digest], row) for row, digest in enumerate(second) if digest in places]


def difference_hash(images: NDArray[Any]) -> tuple[Hashes, NDArray[np.uint8]]:
    """The difference hash of pictures: whether each place of a small grey copy is brighter than its right neighbour.

    Args:
        images: bytes, shape ``(batch, height, width, channels)``.

    Returns:
        One hash a picture, and small grey copies, shape ``(batch, 16, 16)``.
    """
    from PIL import Image

    tiny = np.empty((len(images), SIDE, SIDE + 1), dtype=np.uint8)
    small = np.empty((len(images), THUMB, THUMB), dtype=np.uint8)
    for place, image in enumerate(images):
        grey = image[..., 0] if image.shape[-1] == 1 else image.mean(axis=-1).astype(np.uint8)
        copy = Image.fromarray(grey)
        tiny[place] = np.asarray(copy.resize((SIDE + 1, SIDE), Image.Resampling.BOX))
        small[place] = np.asarray(copy.resize((THUMB, THUMB), Image.Resampling.BOX))
    bits = (tiny[:, :, 1:] > tiny[:, :, :-1]).reshape(len(images), -1)
    powers = np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)
    return (bits * powers).sum(axis=1, dtype=np.uint64), small


def near(hashes: Hashes, small: NDArray[np.uint8], split: int = 0) -> list[tuple[int, int]]:
    """Pairs of pictures that are nearly the same: by their hashes, and then by their small copies.

    Args:
        hashes: one a picture.
        small: their small grey copies.
        split: if above 0, only pairs of a picture before that place and one after it count.
    """
    pairs = set()
    for first, second in _candidates(hashes):
        if split and not first < split <= second:
            continue
        apart = int(hashes[first] ^ hashes[second]).bit_count()
        if apart <= NEAR and _correlation(small[first], small[second]) >= CLOSE:
            pairs.add((first, second))
    return sorted(pairs)


def _correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    a, b = (copy.astype(np.float64) - copy.mean() for copy in (first, second))
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else float(np.array_equal(first, second))


def _candidates(hashes: Hashes) -> Iterator[tuple[int, int]]:
    width = 64 // BANDS
    mask = np.uint64((1 << width) - 1)
    for band in range(BANDS):
        part = (hashes >> np.uint64(band * width)) & mask
        order = np.argsort(part, kind="stable")
        edges = np.flatnonzero(np.diff(part[order])) + 1
        for bucket in np.split(order, edges):
            if 1 < len(bucket) <= LARGEST_BUCKET:
                rows = sorted(bucket.tolist())
                for place, first in enumerate(rows):
                    for second in rows[place + 1 :]:
                        yield first, second
