"""The images of a zip archive, from its directory: each is then read by itself."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from kptk.errors import InputError
from kptk_vision.members import Member, is_image, link_target, refuse_bomb, refuse_large, refuse_outside

METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}


def zip_members(path: Path) -> list[Member]:
    """List the images of a zip archive.

    Args:
        path: the file.

    Raises:
        InputError: if it is damaged or encrypted, or a member is refused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _members(path, archive)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is not a whole zip archive ({error}). Copy or pack it again.") from None
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} cannot be read as a zip archive: {error}") from None


def _members(path: Path, archive: zipfile.ZipFile) -> list[Member]:
    infos = archive.infolist()
    for info in infos:
        refuse_outside(str(path), info.orig_filename)
    size = path.stat().st_size
    if sum(info.compress_size for info in infos) > size:
        raise InputError(
            f"{path}: its members overlap, together they have more bytes than the file. Only bombs are made like that, so it "
            "is not read."
        )
    refuse_bomb(str(path), size, sum(info.file_size for info in infos))
    found, links = [], {}
    for info in infos:
        if stat.S_ISLNK(info.external_attr >> 16):
            target = archive.read(info).decode("utf-8", "replace") if not info.flag_bits & 1 else "/"
            links[info.filename] = link_target(str(path), info.filename, target)
        elif not info.is_dir() and is_image(info.filename):
            found.append(_member(path, info))
    return found + _linked({member.name: member for member in found}, links) if links else found


def _member(path: Path, info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & 1:
        raise InputError(
            f"{path}: the member '{info.filename}' is encrypted. Unpack the archive with its password first."
        )
    if info.compress_type not in METHODS:
        raise InputError(
            f"{path}: the member '{info.filename}' is packed by method {info.compress_type}; read are "
            f"{' and '.join(METHODS.values())}. Pack the archive again."
        )
    refuse_large(str(path), info.filename, info.file_size)
    return Member(info.filename, info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)


def _linked(members: dict[str, Member], links: dict[str, str]) -> list[Member]:
    """Links to images of the same archive are these images by another name; others lead to no image."""
    return [
        Member(name, m.offset, m.packed, m.size, m.method, m.checksum)
        for name, target in links.items()
        if is_image(name) and (m := members.get(target)) is not None
    ]
