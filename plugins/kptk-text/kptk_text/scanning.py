"""One pass over a file of plain text: where its documents are, and whether they can be read."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kptk.errors import InputError
from kptk.reading import BROKEN, LONGEST_FILE, PACKED, codec_of, open_binary
from kptk_text.building import RowBuilder

UNITS = ("line", "paragraph", "file")
LONGEST_LINE = 1_000_000
"""Bytes of a line beyond which it is no document but a whole file without line ends."""


def scan(path: Path, builder: RowBuilder, *, unit: str, encoding: str, label: str | None = None) -> None:
    """Find the documents of a file. A plain UTF-8 file stays where it is; any other is written to the store.

    Args:
        path: the file.
        builder: takes the documents.
        unit: ``"line"``, ``"paragraph"`` (up to an empty line) or ``"file"``.
        encoding: of the file, unless its first bytes say otherwise.
        label: class of all its documents, or None.

    Raises:
        InputError: if the file cannot be read as text.
    """
    codec = codec_of(path, encoding)
    packed = path.suffix.lower() in PACKED
    own_file = codec in ("utf-8", "utf-8-sig") and not packed
    place = builder.place(path) if own_file else -1
    shift = len(codecs.BOM_UTF8) if codec == "utf-8-sig" else 0
    for number, start, raw in _documents(path, unit, codec, shift):
        where = f"{path}" if unit == "file" else f"{path}, line {number:,}"
        text = _readable(raw, where, builder, encoding)
        if text is None:
            continue
        if own_file:
            lead = len(raw) - len(raw.lstrip())
            builder.add(place, start + lead, start + lead + len(text), text, label)
        else:
            builder.stored(text, label)


def _readable(raw: bytes, where: str, builder: RowBuilder, encoding: str) -> bytes | None:
    """The stripped bytes of a document, or None if it is left out."""
    text = raw.strip()
    if not text:
        builder.empty += 1
        return None
    if b"\0" in text:
        builder.bad(where, "it holds zero bytes, so it is binary data and not text")
        return None
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        builder.bad(
            where,
            f"byte {error.start + 1:,} (0x{text[error.start]:02x}) is not {encoding}",
            "Say which encoding it has (-o data.encoding=latin-1, say), or leave such texts out: -o data.on_bad_input=skip",
        )
        return None
    return text


def _documents(path: Path, unit: str, codec: str, shift: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield line number, first byte and bytes of each document."""
    longest = LONGEST_LINE if unit == "line" else LONGEST_FILE
    gathered: list[bytes] = []
    begin, first, size, offset = shift, 1, 0, shift
    for number, line in enumerate(_lines(path, codec, shift, longest, unit), 1):
        if unit == "line":
            yield number, offset, line
        else:
            ends = unit == "paragraph" and not line.strip()
            if not ends:
                gathered.append(line)
                size += len(line)
                if size > longest:
                    raise InputError(
                        f"{path}: the {unit} that begins in line {first:,} has more than {longest / 1e6:.0f} MB. "
                        "Is it one document a line? -o data.unit=line"
                    )
            elif gathered:
                yield first, begin, b"".join(gathered)
            if ends:
                gathered, size, begin, first = [], 0, offset + len(line), number + 1
        offset += len(line)
    if unit != "line" and (gathered or unit == "file"):
        yield first, begin, b"".join(gathered)


def _lines(path: Path, codec: str, shift: int, longest: int, unit: str) -> Iterator[bytes]:
    """Yield the lines as UTF-8 with their ends; no line is read whole that is too long."""
    number = 0
    try:
        with open_binary(path) as file:
            stream: Any = file
            if codec == "utf-8-sig":
                file.read(shift)
            elif codec != "utf-8":
                stream = _Transcoded(io.TextIOWrapper(file, encoding=codec, newline=""))
            while line := stream.readline(longest + 1):
                number += 1
                if len(line) > longest and not line.endswith(b"\n"):
                    advice = "If the file is one document, say so: -o data.unit=file" if unit == "line" else ""
                    raise InputError(
                        f"{path}: line {number:,} is longer than {longest / 1e6:.0f} MB, too long for one document. "
                        f"{advice}".rstrip()
                    )
                yield line
    except UnicodeError as error:
        raise InputError(f"{path}: line {number + 1:,} is not {codec}: {error}") from None
    except BROKEN as error:
        raise InputError(f"{path} is damaged: {error}") from None


class _Transcoded:
    """Lines of a text in another encoding, as UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text

    def readline(self, size: int) -> bytes:
        """The next line."""
        return self.text.readline(size).encode("utf-8")
