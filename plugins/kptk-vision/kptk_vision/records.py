"""Examples in TensorFlow's record files, read without TensorFlow: where each one lies, and the values it holds."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from kptk.errors import InputError

HEAD, TAIL = 12, 4
"""Bytes around an example: its length and a checksum of that before it, a checksum of the example behind it."""
BYTES, NUMBERS = 1, 3
"""Kinds of values of a feature in TensorFlow's ``Example``; 2 are floats."""

Span = tuple[int, int]


class Records:
    """One record file, mapped into memory: examples are read where they lie.

    Args:
        path: the file.

    Raises:
        InputError: if it is cut off or something else.

    References:
        https://www.tensorflow.org/tutorials/load_data/tfrecord
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spans: list[Span] = []
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise InputError(f"{path} cannot be read: {error}") from None
        at, end = 0, len(self._data)
        while at < end:
            length = struct.unpack_from("<Q", self._data, at)[0] if at + HEAD <= end else end
            start, at = at + HEAD, at + HEAD + length + TAIL
            if at > end:
                raise InputError(f"{path} is damaged or cut off behind example {len(self.spans):,}. Copy it again.")
            self.spans.append((start, start + length))

    def __len__(self) -> int:
        return len(self.spans)

    def example(self, number: int) -> dict[str, list[bytes] | list[int]]:
        """The features of an example that hold bytes or whole numbers.

        Args:
            number: which, from 0.

        Raises:
            InputError: if it is no ``Example``.
        """
        start, end = self.spans[number]
        try:
            return dict(_features(self._data[start:end]))
        except (IndexError, ValueError, UnicodeDecodeError):
            raise InputError(f"{self.path}: example {number:,} is damaged, or is no tf.train.Example.") from None


def _features(data: bytes) -> Iterator[tuple[str, list[bytes] | list[int]]]:
    """Walk ``Example { features { feature: map<string, Feature> } }`` in the wire format of protocol buffers."""
    for _, features in _fields(data):
        for _, entry in _fields(_bytes(features)):
            parts = dict(_fields(_bytes(entry)))
            name, held = _bytes(parts[1]).decode(), dict(_fields(_bytes(parts.get(2, b""))))
            if BYTES in held:
                yield name, [_bytes(value) for _, value in _fields(_bytes(held[BYTES]))]
            elif NUMBERS in held:
                yield name, [number for _, value in _fields(_bytes(held[NUMBERS])) for number in _numbers(value)]


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        length, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at) if kind in (1, 5) else (len(data), at)
        if at + length > len(data):
            raise ValueError("a field reaches beyond its message")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")


def _numbers(value: bytes | int) -> Iterator[int]:
    """One number, or several packed together; those from 2^63 on are negative."""
    if isinstance(value, int):
        yield value - (1 << 64) if value >> 63 else value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number - (1 << 64) if number >> 63 else number


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message was expected")
    return value
