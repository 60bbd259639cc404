"""`Pairs`: pictures with their captions as rows, and the two sides of it as data of their own."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput, Source, Subset
from kptk.errors import InputError
from kptk_image_text.pair import pair_rows

KIND = "image_text"
"""The kind of input: an image and a text."""
READ_AT_ONCE = 256

Read = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""From row numbers to pictures, shape ``(rows, height, width, channels)``."""


class Pairs(Source):
    """Pictures that are read by row number, each with a caption in memory.

    Args:
        name: what to call it in messages.
        pictures: reads some of them.
        shape: of a picture, ``(height, width, channels)``.
        captions: a text for each row.
        digest: of the pictures' content.
        labels: class of each row, or None.
        class_names: names of the classes.
        skipped: what was left out because it could not be read.
        note: what else was left out, for `describe`; empty for nothing.
        holdout: the test part, or None.
    """

    inputs = KIND
    row_shape = ()

    def __init__(
        self,
        *,
        name: str,
        pictures: Read,
        shape: tuple[int, int, int],
        captions: Sequence[str],
        digest: str,
        labels: NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] = (),
        skipped: tuple[BadInput, ...] = (),
        note: str = "",
        holdout: Pairs | None = None,
    ) -> None:
        self.name = name
        self.pictures = pictures
        self.shape = shape
        self.captions = tuple(captions)
        self.labels = labels
        self.class_names = class_names
        self.skipped = skipped
        self.note = note
        self._digest = digest
        self._holdout = holdout

    def __len__(self) -> int:
        return len(self.captions)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows: an array of `kptk_image_text.pair.Pair`."""
        return pair_rows(self.pictures(rows), [self.captions[row] for row in rows])

    def fingerprint(self) -> str:
        """Hash of every picture and caption."""
        return hashlib.sha256("\0".join((self._digest, str(self.shape), *self.captions)).encode()).hexdigest()

    def describe(self) -> str:
        """One line: how many pairs, their shape and classes, and how many share a caption."""
        shape = " x ".join(map(str, self.shape))
        parts = [f"{self.name}: {len(self):,} images of {shape} with captions"]
        parts.append(f"{len(self.class_names)} classes" if self.labels is not None else "no labels")
        if shared := self.shared:
            parts.append(f"{shared:,} share a caption with another image")
        if self.skipped:
            parts.append(f"{len(self.skipped):,} left out")
        return ", ".join(parts) + (f"; {self.note}" if self.note else "")

    @property
    def shared(self) -> int:
        """Rows whose caption another row has, too."""
        return sum(count for count in Counter(self.captions).values() if count > 1)

    def holdout(self) -> Source | None:
        """The test part, if there is one."""
        return self._holdout


class PairSide(Source):
    """The pictures alone, or the captions alone, of pairs: ordinary data of images or texts.

    Args:
        pairs: the pairs.
        side: ``"image"`` or ``"text"``.
    """

    def __init__(self, pairs: Pairs, side: str) -> None:
        self.pairs = pairs
        self.inputs = side
        self.row_shape = pairs.shape if side == "image" else ()
        self.labels = pairs.labels
        self.class_names = pairs.class_names
        self.skipped = pairs.skipped

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some pictures or captions."""
        if self.inputs == "image":
            return self.pairs.pictures(rows)
        texts = np.empty(len(rows), dtype=object)
        texts[:] = [self.pairs.captions[row] for row in rows]
        return texts

    def fingerprint(self) -> str:
        """That of the pairs and of the side."""
        return hashlib.sha256(f"{self.pairs.fingerprint()}{self.inputs}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: which side of which pairs."""
        what = "images" if self.inputs == "image" else "captions"
        labels = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        return f"{what} of {self.pairs.name}: {len(self):,} rows, {labels}"

    def holdout(self) -> Source | None:
        """The same side of the test part."""
        part = self.pairs.holdout()
        return PairSide(part, self.inputs) if isinstance(part, Pairs) else None


def captions_of(source: Source) -> list[str]:
    """Every caption of pairs, without reading a picture where that can be.

    Args:
        source: pairs of any source.

    Raises:
        InputError: if its rows are no pairs.
    """
    if isinstance(source, Pairs):
        return list(source.captions)
    if isinstance(source, Subset):
        whole = captions_of(source.whole)
        return [whole[row] for row in source.rows]
    found: list[str] = []
    for start in range(0, len(source), READ_AT_ONCE):
        rows = source.read(np.arange(start, min(start + READ_AT_ONCE, len(source))))
        refuse_other_rows(rows)
        found += [row.caption for row in rows]
    return found


def refuse_other_rows(rows: Any) -> None:
    """Raise unless rows are pairs.

    Args:
        rows: raw rows.

    Raises:
        InputError: if one is something else, or has no text.
    """
    for place, row in enumerate(rows):
        if not hasattr(row, "image") or not isinstance(getattr(row, "caption", None), str):
            raise InputError(
                f"row {place:,} must be an image and its caption, a kptk_image_text.pair.Pair. Received: {type(row).__name__}. "
                "Images alone, or texts alone, go to the encoders within the run: RUN/image and RUN/text."
            )
