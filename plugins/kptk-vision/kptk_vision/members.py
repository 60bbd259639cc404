"""What archives have in common: which members are images, and which are refused before anything is read."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath

from kptk.errors import InputError
from kptk.training.decode import SUFFIXES
from kptk_vision.store import LARGEST

MOST_TIMES = 200
"""How many times its own size an archive may become: images hardly get smaller, bombs a thousand times."""
HARMLESS = 1 << 28
"""Bytes that an archive may become in any case."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image in an archive.

    Args:
        name: its path in the archive.
        offset: where it begins in the file: its local header in a zip, its content in a tar.
        packed: its bytes in the file.
        size: its bytes unpacked.
        method: how it is packed: 0 not at all, 8 deflated.
        checksum: CRC-32 of its content; -1 if the archive has none.
    """

    name: str
    offset: int
    packed: int
    size: int
    method: int = 0
    checksum: int = -1


def is_image(name: str) -> bool:
    """Whether a member is an image that is meant to be seen.

    Args:
        name: its path in the archive.
    """
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return bool(parts) and not hidden and PurePosixPath(name).suffix.lower() in SUFFIXES


def refuse_outside(archive: str, name: str) -> None:
    """Refuse a member whose path leads out of the archive.

    Args:
        archive: the file.
        name: path of a member.

    Raises:
        InputError: if it is absolute or holds ``..``.
    """
    path = name.replace("\\", "/")
    drive = len(path) > 1 and path[1] == ":"
    if path.startswith("/") or drive or ".." in path.split("/"):
        raise InputError(
            f"{archive}: the member '{name}' leads out of the archive, so nothing of it is read. Pack the folder again, "
            "with paths below it."
        )


def link_target(archive: str, name: str, target: str, *, hard: bool = False) -> str:
    """The member that a link means.

    Args:
        archive: the file.
        name: path of the link.
        target: what it says.
        hard: whether the target is a path from the top of the archive, as of a hard link in a tar.

    Raises:
        InputError: if it leads out of the archive.
    """
    base = "" if hard else posixpath.dirname(name)
    found = posixpath.normpath(posixpath.join(base, target))
    if target.startswith("/") or found.startswith(("..", "/")):
        raise InputError(
            f"{archive}: the member '{name}' is a link to {target}, outside the archive, so nothing of it is read. Pack the "
            "files themselves."
        )
    return found


def refuse_bomb(archive: str, packed: int, size: int) -> None:
    """Refuse an archive that would become far larger than images do.

    Args:
        archive: the file.
        packed: bytes of the file.
        size: bytes of all that is in it.

    Raises:
        InputError: if it is out of proportion.
    """
    if size > max(HARMLESS, MOST_TIMES * packed):
        raise InputError(
            f"{archive} has {packed / 1e6:.1f} MB and would become {size / 1e6:,.0f} MB, {size / max(packed, 1):,.0f} times as "
            "much. Images do not shrink like that, so it is taken for a decompression bomb and not read."
        )


def refuse_large(archive: str, name: str, size: int) -> None:
    """Refuse a member that is too large to be an image.

    Args:
        archive: the file.
        name: path of a member.
        size: its bytes.

    Raises:
        InputError: if it is.
    """
    if size > LARGEST:
        raise InputError(f"{archive}: the member '{name}' has {size / 1e9:.1f} GB, too much for an image.")
