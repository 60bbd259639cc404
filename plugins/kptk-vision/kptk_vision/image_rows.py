"""`ImageRows`: images that are decoded when they are needed, wherever their bytes are."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput, Source
from kptk.errors import InputError, RunError
from kptk.training.decode import GREY_MODES, Pixels, Unreadable, common_shape, open_image, to_array
from kptk_vision.store import ImageStore

THREADS = 2
BLOCK = 1024
"""Files that are looked at before what was found is put away; a task in waiting costs more memory than a small file."""


class ImageRows(Source):
    """Images that are read from a store; use `image_rows` to make one.

    Args:
        store: where the bytes are.
        rows: the images of the store that can be read, in the order of the rows.
        shape: ``(height, width, channels)`` of every row.
        fingerprint: of the content.
        skipped: images that were left out.
    """

    inputs = "image"

    def __init__(
        self,
        store: ImageStore,
        rows: NDArray[np.int64],
        shape: tuple[int, int, int],
        fingerprint: str,
        skipped: tuple[BadInput, ...],
    ) -> None:
        self.store = store
        self.rows = rows
        self.row_shape = shape
        self.skipped = skipped
        self._fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: NDArray[np.int64]) -> Pixels:
        """Decode some files as one batch of bytes."""
        height, width, channels = self.row_shape
        batch = np.empty((len(rows), *self.row_shape), dtype=np.uint8)
        for place, row in enumerate(self.rows[rows].tolist()):
            try:
                batch[place] = to_array(open_image(self.store.read(row)), channels, height, width)
            except Unreadable as error:
                raise RunError(
                    f"{self.store.where(row)} could be read when the run began and cannot be read now: {error}"
                ) from None
        return batch

    def encoded(self, row: int) -> bytes:
        """The bytes of one image file as it is, for those who look at its header.

        Args:
            row: the row's number.
        """
        return self.store.read(int(self.rows[row]))

    def fingerprint(self) -> str:
        """Hash of every file's name and content."""
        return self._fingerprint

    def describe(self) -> str:
        """One line: where they are, how many images, their shape and classes."""
        classes = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        if self.targets is not None and self.labels is None:
            classes = "numbers to predict"
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        shape = " x ".join(map(str, self.row_shape))
        return f"{self.store.title}: {len(self):,} images as {shape}, {classes}{left_out}"

    def row_name(self, row: int) -> str:
        """The image's path below the folder, as the table has it, or in the archive."""
        return self.store.names[int(self.rows[row])]


@dataclass(frozen=True, slots=True)
class Look:
    """What a first look found of each image of a store.

    Args:
        heights: in pixels; 0 for one that cannot be read.
        widths: in pixels.
        grey: whether it has no colour.
        checksums: of the bytes.
        bad: why those cannot be read that cannot, by number.
    """

    heights: NDArray[np.int32]
    widths: NDArray[np.int32]
    grey: NDArray[np.bool_]
    checksums: NDArray[np.uint32]
    bad: dict[int, str]


def look(store: ImageStore) -> Look:
    """Decode every image once, so that a broken one is known at the start and not hours later.

    Args:
        store: where the bytes are.
    """
    count = len(store)
    found = Look(
        np.zeros(count, np.int32), np.zeros(count, np.int32), np.zeros(count, bool), np.zeros(count, np.uint32), {}
    )

    def one(row: int) -> None:
        try:
            content = store.read(row)
            image = open_image(content)
        except Unreadable as error:
            found.bad[row] = str(error)
            return
        found.heights[row], found.widths[row] = image.height, image.width
        found.grey[row] = image.mode in GREY_MODES
        found.checksums[row] = zlib.crc32(content)

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, count, BLOCK):
            for _ in pool.map(one, range(start, min(start + BLOCK, count))):
                pass
    return found


def image_rows(
    store: ImageStore,
    *,
    image_size: int,
    channels: int,
    on_bad_input: str,
    bad_before: Sequence[BadInput] = (),
    meaning: str = "",
) -> ImageRows:
    """Look at every image of a store and make rows of those that can be read.

    Args:
        store: where the bytes are.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for grey if all files are grey, else colour.
        on_bad_input: ``"error"`` refuses unreadable images, ``"skip"`` leaves them out and lists them.
        bad_before: what was left out before.
        meaning: what else makes the content another one, for the fingerprint.

    Returns:
        Rows without labels; images that differ in size are scaled to cover the size and cut to its middle.

    Raises:
        InputError: if an image cannot be read, or none can.
    """
    found = look(store)
    bad = [BadInput(store.where(row), found.bad[row]) for row in sorted(found.bad)]
    if bad and on_bad_input == "error":
        raise InputError(
            f"{bad[0].path}: {bad[0].reason}; {len(bad):,} of {len(store):,} files cannot be read. "
            "Mend or remove them, or leave them out: --on-bad-input skip"
        )
    rows = np.flatnonzero(found.heights)
    if not len(rows):
        raise InputError(
            f"none of the {len(store):,} images in {store.title} can be read. First: {bad[0].path}: {bad[0].reason}"
        )
    digest = hashlib.sha256()
    for row in rows.tolist():
        digest.update(f"{store.names[row]}\0{found.checksums[row]}\n".encode("utf-8", "surrogateescape"))
    sizes = np.stack([found.heights[rows], found.widths[rows]], axis=1)
    shape = common_shape(sizes, bool(found.grey[rows].all()), image_size, channels)
    digest.update((str(shape) + meaning).encode())
    return ImageRows(store, rows, shape, digest.hexdigest(), (*bad_before, *bad))
