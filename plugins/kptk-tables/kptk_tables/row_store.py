"""`RowStore`: rows of one width in a file without a name, read by number. Memory does not grow with their count."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowStore:
    """Rows of numbers in one temporary file and texts of any length in another.

    The files have no name, so that nothing is left behind even by a process that is killed.

    Reading is by position and not by a memory map: the pages of a map count as memory of the process, so an epoch in random
    order would seem to fill it with the whole file.

    Args:
        dtype: the fields of a row.

    Example:
        >>> store = RowStore(np.dtype([("age", "f8")]))
        >>> store.append(np.array([(39.0,), (50.0,)], store.dtype))
        >>> store.finish()
        >>> store.read(np.array([1, 0]))["age"].tolist()
        [50.0, 39.0]
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self.dtype = dtype
        self._rows = _File()
        self._texts = _File()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: NDArray[np.void]) -> None:
        """Add rows at the end.

        Args:
            rows: an array of `dtype`.
        """
        self._rows.write(rows.tobytes())
        self._count += len(rows)

    def append_text(self, text: bytes) -> int:
        """Keep some text and return where it begins.

        Args:
            text: the bytes.
        """
        return self._texts.write(text)

    def finish(self) -> None:
        """Say that nothing more is added; reading may begin."""
        self._rows.flush()
        self._texts.flush()

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Read some rows, in the order asked for.

        Args:
            rows: their numbers.
        """
        size = self.dtype.itemsize
        if not len(rows):
            return np.empty(0, self.dtype)
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 == len(rows) and bool((np.diff(rows) == 1).all()):
            return np.frombuffer(self._rows.read(first * size, len(rows) * size), self.dtype)
        return np.frombuffer(b"".join([self._rows.read(row * size, size) for row in rows.tolist()]), self.dtype)

    def text(self, begin: int, length: int) -> str:
        """Read one text.

        Args:
            begin: where it begins.
            length: its bytes.
        """
        return self._texts.read(begin, length).decode("utf-8")


class _File:
    """A file that grows at its end and is then read by position, by several threads at once."""

    def __init__(self) -> None:
        self.size = 0
        self._out: Any = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object
        weakref.finalize(self, self._out.close)

    def write(self, content: bytes) -> int:
        begin = self.size
        self._out.write(content)
        self.size += len(content)
        return begin

    def flush(self) -> None:
        self._out.flush()

    def read(self, begin: int, length: int) -> bytes:
        return os.pread(self._out.fileno(), length, begin)
