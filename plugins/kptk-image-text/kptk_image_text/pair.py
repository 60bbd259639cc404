"""`Pair`: a picture and what is written about it, the raw row of data of this kind."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError


class Pair:
    """One picture with its caption.

    Args:
        image: bytes of 0..255, or floats of 0..1, shape ``(height, width, channels)``.
        caption: a text.

    Example:
        >>> Pair(np.zeros((2, 2, 3), "uint8"), "nothing at all")
        Pair('nothing at all', 2 x 2 x 3, 7bd5c66f)
    """

    __slots__ = ("caption", "image")

    def __init__(self, image: NDArray[Any], caption: str) -> None:
        self.image = image
        self.caption = caption

    def __eq__(self, other: object) -> bool:
        """Whether picture and caption are the same."""
        if not isinstance(other, Pair) or self.caption != other.caption:
            return False
        return bool(np.array_equal(self.image, other.image))

    def __hash__(self) -> int:
        return hash((self.caption, np.asarray(self.image).tobytes()))

    def __repr__(self) -> str:
        """A text that tells two pairs apart, since rows of objects are compared by it."""
        image = np.ascontiguousarray(self.image)
        shape = " x ".join(map(str, image.shape))
        return f"Pair({self.caption!r}, {shape}, {zlib.crc32(image.tobytes()):08x})"


def pair_rows(images: NDArray[Any], captions: Sequence[str]) -> NDArray[np.object_]:
    """Raw rows of pictures and captions that are in memory.

    Args:
        images: shape ``(rows, height, width, channels)``.
        captions: a text for each.

    Returns:
        An array of `Pair`, shape ``(rows,)``, for `fit` of a model or a `kptk.ArraySource`.

    Raises:
        InputError: if there are not as many captions as pictures.

    Example:
        >>> pair_rows(np.zeros((2, 4, 4, 1), "uint8"), ["a", "b"]).shape
        (2,)
    """
    if len(images) != len(captions):
        raise InputError(f"{len(images):,} images and {len(captions):,} captions: give one caption for each image.")
    rows = np.empty(len(captions), dtype=object)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        rows[place] = Pair(image, caption)
    return rows
