"""Images in archives: .zip and .tar, also compressed, one or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kptk.data import Source
from kptk.errors import InputError
from kptk.parts import part_called
from kptk.training.decode import SUFFIXES
from kptk_vision.archive_store import ArchiveStore
from kptk_vision.arrangement import arrange, without_wrapping
from kptk_vision.image_rows import image_rows
from kptk_vision.members import Member
from kptk_vision.tar_members import PACKED, tar_file, tar_members
from kptk_vision.zip_members import zip_members

ENDINGS = (".zip", ".tar", *PACKED)
"""Ends of the names of archives."""


def image_archive(path: str, *, image_size: int = 0, channels: int = 0, on_bad_input: str = "error") -> Source:
    """Open an archive of images.

    The images of a ``.zip`` or ``.tar`` are read where they lie. A tar that is compressed as a whole has to be unpacked
    first, into a temporary file without a name that goes with the process. Folders in the archive mean what they mean in
    an image folder; one that wraps all others means nothing.

    Args:
        path: a ``.zip``, ``.tar``, ``.tar.gz``, ``.tgz``, ``.tar.xz``, ``.txz``, ``.tar.bz2`` or ``.tbz2`` file.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for grey if all files are grey, else colour.
        on_bad_input: ``"error"`` refuses an archive with unreadable images, ``"skip"`` leaves those out and lists them.

    Returns:
        The rows.

    Raises:
        InputError: if the archive is damaged, encrypted or out of proportion, a member leads out of it, there is no image,
            or an unreadable one.
    """
    return open_archives([Path(path)], path, image_size, channels, on_bad_input)


def open_archives(paths: list[Path], title: str, image_size: int, channels: int, on_bad_input: str) -> Source:
    """Open several archives as one set of images.

    If the images of an archive lie in class folders, these are the classes, as in an archive that is cut into pieces; else
    each archive is a class of its own name.

    Args:
        paths: the archives.
        title: what to call them together.
        image_size: see `image_archive`.
        channels: see `image_archive`.
        on_bad_input: see `image_archive`.
    """
    files: list[BinaryIO] = []
    members: list[list[Member]] = []
    try:
        for path in paths:
            if path.name.lower().endswith(".zip"):
                members.append(zip_members(path))
                files.append(path.open("rb"))
            else:
                files.append(tar_file(path))
                members.append(tar_members(path, files[-1]))
        if not any(members):
            raise InputError(f"no images in {title}. Readable: {', '.join(sorted(SUFFIXES))}, in folders too.")
    except BaseException:
        for file in files:
            file.close()
        raise
    several = len(paths) > 1
    store = ArchiveStore(title, paths, files, _named(paths, members, several))
    source = image_rows(store, image_size=image_size, channels=channels, on_bad_input=on_bad_input)
    packed = [path.name for path in paths if path.name.lower().endswith(tuple(PACKED))]
    if packed:
        source.remarks = (
            f"{packed[0]}{' and others' if len(packed) > 1 else ''}: compressed as a whole, so unpacked into a temporary file "
            "for this run. A .zip or .tar is read as it is.",
        )
    prefixes = _prefixes(paths, members) if several else [""]
    cuts = _cuts(members, each=all(part_called(prefix) for prefix in prefixes))
    archives = store.archives[source.rows]

    def paths_of() -> Iterator[str]:
        for row, archive in enumerate(archives.tolist()):
            name = source.row_name(row).removeprefix(f"{paths[archive].name}/" if several else "")[cuts[archive] :]
            yield f"{prefixes[archive]}/{name}" if prefixes[archive] else name

    return arrange(source, paths_of)


def _prefixes(paths: list[Path], members: list[list[Member]]) -> list[str]:
    """What each archive is to the images in it: a part or a class by its own name, or nothing but a piece."""
    stems = [next(path.name[: -len(end)] for end in ENDINGS if path.name.lower().endswith(end)) for path in paths]
    folders = all("/" in member.name for own in members for member in own)
    return stems if not folders or all(part_called(stem) for stem in stems) else [""] * len(stems)


def _cuts(members: list[list[Member]], *, each: bool) -> list[int]:
    """Characters of wrapping folders, of each archive or of all together."""
    names = [[member.name for member in own] for own in members]
    if each:
        return [without_wrapping(own) if own else 0 for own in names]
    return [without_wrapping([name for own in names for name in own])] * len(names)


def _named(paths: list[Path], members: list[list[Member]], several: bool) -> Iterator[tuple[int, str, Member]]:
    for number, (path, own) in enumerate(zip(paths, members, strict=True)):
        for one in sorted(own, key=lambda member: member.name):
            yield number, f"{path.name}/{one.name}" if several else one.name, one
