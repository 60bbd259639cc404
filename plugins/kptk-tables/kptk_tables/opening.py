"""Opens a file of a table, compressed or not."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from kptk.errors import InputError
from kptk.tablerows import PACKED

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressed.

    Args:
        path: the file.

    Raises:
        InputError: if it cannot be read or is not what its suffix says.
    """
    try:
        with PACKED.get(path.suffix.lower(), Path.open)(path, "rb") as file:
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
