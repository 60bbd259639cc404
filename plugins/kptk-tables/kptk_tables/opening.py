"""Opens a file of a table, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kptk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
"""How a compressed file is opened, by its last suffix."""


def form(path: Path) -> str:
    """The form of a table, from the suffix before that of any compression.

    Args:
        path: the file.

    Returns:
        Such as ``".csv"``.

    Example:
        >>> form(Path("adult.csv.xz"))
        '.csv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressed.

    Args:
        path: the file.

    Raises:
        InputError: if it cannot be read or is not what its suffix says.
    """
    try:
        with OPENERS.get(path.suffix.lower(), Path.open)(path, "rb") as file:
            yield cast("BinaryIO", file)
    except (gzip.BadGzipFile, lzma.LZMAError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is not a whole {path.suffix} file ({error}). It may have been cut off: copy it again."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def digest(path: Path) -> str:
    """Hash of a file's bytes.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
