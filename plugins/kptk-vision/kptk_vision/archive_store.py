"""`ArchiveStore`: images in archives, read where they lie; nothing is unpacked to disk but a tar that is compressed."""

from __future__ import annotations

import os
import weakref
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kptk.training.decode import Unreadable
from kptk_vision.members import Member
from kptk_vision.store import ImageStore

FIELDS = np.dtype(
    [("archive", "i4"), ("method", "i4"), ("offset", "i8"), ("packed", "i8"), ("size", "i8"), ("checksum", "i8")]
)
LOCAL_HEADER = 30
"""Bytes before the name of a member of a zip."""


class ArchiveStore(ImageStore):
    """Members of archives.

    Args:
        title: what to call the whole.
        paths: the archives.
        files: the same, opened; closed with this object.
        members: each with the number of its archive and what it is called among all.

    Attributes:
        archives: number of the archive that each image is in.
    """

    def __init__(
        self, title: str, paths: list[Path], files: list[BinaryIO], members: Iterable[tuple[int, str, Member]]
    ) -> None:
        names: list[str] = []
        fields = []
        for number, name, one in members:
            names.append(name)
            fields.append((number, one.method, one.offset, one.packed, one.size, one.checksum))
        super().__init__(title, names)
        self.paths = paths
        self._members = np.array(fields, dtype=FIELDS)
        self.archives = self._members["archive"]
        self._files = files
        for file in files:
            weakref.finalize(self, file.close)

    def read(self, row: int) -> bytes:
        """The bytes of one member, unpacked; never more than the archive says."""
        one = self._members[row]
        number = self._files[one["archive"]].fileno()
        offset, packed, size = int(one["offset"]), int(one["packed"]), int(one["size"])
        if one["checksum"] < 0:
            return _pread(number, packed, offset)
        head = _pread(number, LOCAL_HEADER, offset)
        if head[:4] != b"PK\x03\x04":
            raise Unreadable("the archive is damaged: no member begins where its directory says")
        skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        content = _pread(number, packed, offset + LOCAL_HEADER + skip)
        if one["method"]:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
            except zlib.error as error:
                raise Unreadable(f"the archive is damaged: {error}") from None
        if len(content) != size or zlib.crc32(content) != one["checksum"]:
            raise Unreadable("the archive is damaged: wrong checksum")
        return content

    def where(self, row: int) -> str:
        """The archive and the member."""
        archive = self.paths[self._members[row]["archive"]]
        return f"{archive}: {self.names[row].removeprefix(f'{archive.name}/')}"


def _pread(file: int, length: int, offset: int) -> bytes:
    try:
        content = os.pread(file, length, offset)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if len(content) < length:
        raise Unreadable("the archive is cut off")
    return content
