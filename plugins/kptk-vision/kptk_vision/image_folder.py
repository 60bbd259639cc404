"""A folder of images, with or without class sub-folders."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput, Source
from kptk.errors import InputError, RunError
from kptk_vision.decode import GREY_MODES, SUFFIXES, Pixels, Unreadable, open_image, to_array

LARGEST_OWN_SIZE = 224
MIXED_SIZE = 64
THREADS = 2


class ImageFolder(Source):
    """Images that are read from their files when they are needed; use `image_folder` to open one.

    Args:
        root: the folder.
        files: paths below it, in the order of the rows.
        shape: ``(height, width, channels)`` of every row.
        fingerprint: of the content.
        labels: class of each file, or None.
        class_names: names of the classes.
        skipped: files that were left out.
    """

    inputs = "image"

    def __init__(
        self,
        root: Path,
        files: list[str],
        shape: tuple[int, int, int],
        fingerprint: str,
        labels: NDArray[np.int64] | None,
        class_names: tuple[str, ...],
        skipped: tuple[BadInput, ...],
    ) -> None:
        self.root = root
        self.files = files
        self.row_shape = shape
        self.labels = labels
        self.class_names = class_names
        self.skipped = skipped
        self._fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.files)

    def read(self, rows: NDArray[np.int64]) -> Pixels:
        """Decode some files as one batch of bytes."""
        height, width, channels = self.row_shape
        batch = np.empty((len(rows), *self.row_shape), dtype=np.uint8)
        for place, row in enumerate(rows):
            path = self.root / self.files[row]
            try:
                batch[place] = to_array(open_image(path), channels, height, width)
            except Unreadable as error:
                raise RunError(f"{path} could be read when the run began and cannot be read now: {error}") from None
        return batch

    def fingerprint(self) -> str:
        """Hash of every file's name and content."""
        return self._fingerprint

    def describe(self) -> str:
        """One line: the folder, how many images, their shape and classes."""
        classes = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        shape = " x ".join(map(str, self.row_shape))
        return f"{self.root}: {len(self):,} images as {shape}, {classes}{left_out}"


def image_folder(path: str, *, image_size: int = 0, channels: int = 0, on_bad_input: str = "error") -> ImageFolder:
    """Open a folder of images, read recursively.

    Every file is decoded once before training, so that a broken one is known at the start and not hours later. If all
    images lie in sub-folders and there are several, the first sub-folder of each is its class.

    Args:
        path: the folder.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for grey if all files are grey, else colour.
        on_bad_input: ``"error"`` refuses a folder with unreadable images, ``"skip"`` leaves those out and lists them.

    Returns:
        The rows; images that differ in size are scaled to cover the size and cut to its middle.

    Raises:
        InputError: if there is no image, or an unreadable one.
    """
    root = Path(path)
    files = sorted(_images_below(root))
    if not files:
        others = sum(len(names) for _, _, names in os.walk(root))
        raise InputError(
            f"no images in {root} ({others:,} other files). Readable: {', '.join(sorted(SUFFIXES))}, in sub-folders too."
        )
    with ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(lambda name: _look(root / name), files, chunksize=64))
    bad = [BadInput(str(root / name), look) for name, look in zip(files, looks, strict=True) if isinstance(look, str)]
    if bad and on_bad_input == "error":
        raise InputError(
            f"{bad[0].path}: {bad[0].reason}; {len(bad):,} of {len(files):,} files cannot be read. "
            "Mend or remove them, or leave them out: --on-bad-input skip"
        )
    good = [(name, look) for name, look in zip(files, looks, strict=True) if not isinstance(look, str)]
    if not good:
        raise InputError(
            f"none of the {len(files):,} images in {root} can be read. First: {bad[0].path}: {bad[0].reason}"
        )
    names = [name for name, _ in good]
    digest = hashlib.sha256()
    for name, (_, _, _, checksum) in good:
        digest.update(f"{name}\0{checksum}\n".encode())
    labels, classes = _classes(names)
    shape = _shape([look for _, look in good], image_size, channels)
    digest.update(str(shape).encode())
    return ImageFolder(root, names, shape, digest.hexdigest(), labels, classes, tuple(bad))


def _images_below(root: Path) -> Iterable[str]:
    """Paths of image files relative to the folder; links to folders are not followed, so loops end."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        base = Path(folder).relative_to(root)
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield str(base / name)


Look = tuple[int, int, bool, int]
"""Height, width, whether grey, checksum of the bytes."""


def _look(path: Path) -> Look | str:
    """Decode a file; return what matters of it, or why it cannot be read."""
    try:
        image = open_image(path)
        return image.height, image.width, image.mode in GREY_MODES, zlib.crc32(path.read_bytes())
    except Unreadable as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _classes(names: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    tops = [Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in names]
    classes = tuple(sorted(set(tops)))
    if "" in classes or len(classes) < 2:
        return None, ()
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[top] for top in tops], dtype=np.int64), classes


def _shape(looks: list[Look], image_size: int, channels: int) -> tuple[int, int, int]:
    if not channels:
        channels = 1 if all(grey for _, _, grey, _ in looks) else 3
    if image_size:
        return image_size, image_size, channels
    sizes = Counter((height, width) for height, width, _, _ in looks)
    (height, width), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and max(height, width) <= LARGEST_OWN_SIZE:
        return height, width, channels
    return MIXED_SIZE, MIXED_SIZE, channels
