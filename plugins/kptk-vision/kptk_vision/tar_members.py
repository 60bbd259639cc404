"""The images of a tar archive: one pass over its headers, after which each is read where it lies."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from kptk.errors import InputError
from kptk_vision.members import Member, is_image, link_target, refuse_bomb, refuse_large, refuse_outside

PACKED: dict[str, Any] = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
}
"""How a compressed tar is unpacked, by the end of its name."""
BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError)
PIECE = 1 << 20


def tar_file(path: Path) -> BinaryIO:
    """Open a tar so that it can be read by position; a compressed one is unpacked into a temporary file without a name.

    Args:
        path: the file.

    Raises:
        InputError: if it is damaged, would become too large, or there is no room.
    """
    opener = next((PACKED[end] for end in PACKED if path.name.lower().endswith(end)), None)
    try:
        if opener is None:
            return path.open("rb")
        return _unpacked(path, opener)
    except BROKEN as error:
        raise InputError(f"{path} is not a whole archive ({error}). Copy or pack it again.") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(
                f"{path} is compressed as a whole and has to be unpacked to be read, but {tempfile.gettempdir()} is full. Set "
                "TMPDIR to a folder with more room, or pack the images as .zip or .tar, which are read as they are."
            ) from None
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _unpacked(path: Path, opener: Any) -> BinaryIO:
    packed, size = path.stat().st_size, 0
    file: Any = tempfile.TemporaryFile()  # noqa: SIM115  # the caller's to close
    try:
        with opener(path, "rb") as content:
            while piece := content.read(PIECE):
                size += len(piece)
                refuse_bomb(str(path), packed, size)
                file.write(piece)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def tar_members(path: Path, file: BinaryIO) -> list[Member]:
    """List the images of a tar archive.

    Args:
        path: the file, for messages.
        file: as `tar_file` opens it.

    Raises:
        InputError: if it is damaged, or a member is refused.
    """
    found: list[Member] = []
    links: dict[str, str] = {}
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # or every header stays in memory
                name = info.name.removeprefix("./")
                refuse_outside(str(path), name)
                if info.issym() or info.islnk():
                    links[name] = link_target(str(path), name, info.linkname, hard=info.islnk())
                elif info.isfile() and is_image(name) and not info.issparse():
                    refuse_large(str(path), name, info.size)
                    found.append(Member(name, info.offset_data, info.size, info.size))
    except BROKEN as error:
        raise InputError(f"{path} is not a whole archive ({error}). Copy or pack it again.") from None
    if not links:
        return found
    known = {member.name: member for member in found}
    return found + [
        Member(name, known[target].offset, known[target].packed, known[target].size)
        for name, target in links.items()
        if is_image(name) and target in known
    ]
