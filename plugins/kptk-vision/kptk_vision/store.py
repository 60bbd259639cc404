"""`ImageStore`: where the bytes of images are, in a folder, in the rows of a table or in archives."""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path

from kptk.training.decode import Unreadable
from kptk_vision.names import Names

LARGEST = 1 << 30
"""Bytes of one image file at most."""


class ImageStore(abc.ABC):
    """Abstract: encoded images that are read by number, by several threads at once.

    Args:
        title: what to call the whole in messages.
        names: a name of each image, such as its path below a folder.
    """

    def __init__(self, title: str, names: Sequence[str]) -> None:
        self.title = title
        self.names = names if isinstance(names, Names) else Names(names)

    def __len__(self) -> int:
        return len(self.names)

    @abc.abstractmethod
    def read(self, row: int) -> bytes:
        """The bytes of one image file.

        Args:
            row: its number.

        Raises:
            Unreadable: if they cannot be had; the message says why.
        """

    @abc.abstractmethod
    def where(self, row: int) -> str:
        """What to call one image in a message, so that a person finds it.

        Args:
            row: its number.
        """


class FolderStore(ImageStore):
    """Image files below a folder.

    Args:
        root: the folder.
        names: their paths below it.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        super().__init__(str(root), names)
        self.root = root

    def read(self, row: int) -> bytes:
        """The bytes of one file."""
        return read_file(self.root / self.names[row])

    def where(self, row: int) -> str:
        """The path of one file."""
        return str(self.root / self.names[row])


def read_file(path: str | Path) -> bytes:
    """Read an image file, unless it is too large to be one.

    Args:
        path: the file.

    Raises:
        Unreadable: if it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise Unreadable(f"too large: {size / 1e9:.1f} GB")
            return file.read()
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
