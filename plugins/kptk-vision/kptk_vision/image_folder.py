"""A folder of images, with or without class sub-folders; or of archives of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kptk.data import BadInput, Source
from kptk.errors import InputError
from kptk.saved_sets import is_saved_set
from kptk.training.decode import SUFFIXES
from kptk_vision.arrangement import arrange
from kptk_vision.image_archive import ENDINGS, open_archives
from kptk_vision.image_rows import image_rows
from kptk_vision.names import Names
from kptk_vision.saved_dataset import saved_dataset
from kptk_vision.store import FolderStore
from kptk_vision.tfds_folder import is_tfds_folder, tfds_folder


def image_folder(path: str, *, image_size: int = 0, channels: int = 0, on_bad_input: str = "error") -> Source:
    """Open a folder of images, read recursively.

    Every file is decoded once before training, so that a broken one is known at the start and not hours later. If all
    images lie in sub-folders and there are several, the first sub-folder of each is its class; sub-folders train, test and
    validation are parts, with the class folders in them. A folder without images that holds archives is read as what is
    in them; one that `save_to_disk` of Hugging Face's datasets wrote, as its images and class labels.

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
    if is_saved_set(root):
        return saved_dataset(root, image_size, channels, on_bad_input)
    if is_tfds_folder(root):
        return tfds_folder(root, image_size, channels, on_bad_input)
    bad: list[BadInput] = []
    names = Names(files_below(root, tuple(SUFFIXES), bad))
    archives = [root / name for name in files_below(root, ENDINGS, [])]
    if bad and on_bad_input == "error":
        raise InputError(f"{bad[0].path}: {bad[0].reason}. Mend it, or leave it out: --on-bad-input skip")
    if not names and archives:
        return open_archives(archives, str(root), image_size, channels, on_bad_input)
    if not names:
        others = sum(1 for _ in files_below(root, ("",), []))
        raise InputError(
            f"no images in {root} ({others:,} other files). Readable: {', '.join(sorted(SUFFIXES))}, in sub-folders too."
        )
    source = image_rows(
        FolderStore(root, names), image_size=image_size, channels=channels, on_bad_input=on_bad_input, bad_before=bad
    )
    if archives:
        source.remarks = (
            f"{len(archives):,} archives beside the images are not read, the first is {archives[0].name}.",
        )
    return arrange(source, lambda: (source.row_name(row) for row in range(len(source))))


def files_below(root: Path, endings: tuple[str, ...], bad: list[BadInput]) -> Iterator[str]:
    """Paths of files below a folder, in alphabetical order; no more than one folder's names are in memory at a time.

    Hidden files and folders are left out. A link to a folder is followed if that lies outside, and no folder is visited
    twice, so links that go round in circles end.

    Args:
        root: the folder.
        endings: of the files wanted, in small letters.
        bad: gets folders that cannot be listed.
    """
    real = root.resolve()
    visited: set[tuple[int, int]] = set()

    def walk(folder: str) -> Iterator[str]:
        try:
            about = (root / folder).stat()
            key = (about.st_dev, about.st_ino)
            if key in visited:
                return
            visited.add(key)
            with os.scandir(root / folder) as entries:
                found = sorted(_listed(entries, real))
        except OSError as error:
            bad.append(BadInput(str(root / folder), error.strerror or str(error)))
            return
        for name in found:
            if name.endswith("/"):
                yield from walk(folder + name)
            elif name.lower().endswith(endings):
                yield folder + name

    yield from walk("")


def _listed(entries: Iterator[os.DirEntry[str]], real: Path) -> Iterator[str]:
    """Names of a folder's files, and of its sub-folders with a slash behind: sorted, whole paths are in order too."""
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            folder = entry.is_dir()
        except OSError:  # a link to itself: reading it says so
            folder = False
        if not folder:
            yield entry.name
        elif not entry.is_symlink() or not Path(entry.path).resolve().is_relative_to(real):
            yield f"{entry.name}/"
