"""`Cached`: images that are decoded once and kept, in memory or in a temporary file without a name."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from typing import TYPE_CHECKING, Any

from kptk.data import Source
from kptk.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPARE = 0.8
"""Share of the free memory, or room in the temporary folder, that a cache may take."""


class Cached(Source):
    """Another source whose rows are read once; later readings come from memory or from a file.

    Args:
        source: rows that are numbers of one shape.
        where: ``"memory"`` or ``"disk"``.

    Raises:
        UsageError: if the rows have no fixed size, such as texts.
        InputError: if there is no room for them.
    """

    def __init__(self, source: Source, where: str) -> None:
        import numpy as np

        first = source.read(np.zeros(1, dtype=np.int64))
        if first.dtype.kind not in "biuf":
            raise UsageError(
                f"`data.cache` keeps decoded images; {source.inputs} rows are kept in a file anyhow. Leave it out."
            )
        self.inputs, self.row_shape = source.inputs, source.row_shape
        self.labels, self.targets, self.class_names = source.labels, source.targets, source.class_names
        self.columns, self.skipped, self.remarks = source.columns, source.skipped, source.remarks
        self.whole = source
        self.where = where
        self.size = first.nbytes * len(source)
        _check_room(self.size, where)
        self._there = np.zeros(len(source), dtype=bool)
        self._lock = threading.Lock()
        shape = (len(source), *first.shape[1:])
        self._store: Any = np.empty(shape, first.dtype) if where == "memory" else _FileRows(shape, first.dtype)

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows; those that were read before are not decoded again."""
        import numpy as np

        rows = np.asarray(rows)
        new = np.unique(rows[~self._there[rows]])
        if len(new):
            decoded = self.whole.read(new)
            with self._lock:
                self._store[new] = decoded
                self._there[new] = True
        batch: NDArray[np.generic] = self._store[rows]
        return batch

    def fingerprint(self) -> str:
        """That of the rows."""
        return self.whole.fingerprint()

    def describe(self) -> str:
        """The rows in words, and what the cache takes."""
        return f"{self.whole.describe()}; kept decoded ({self.where}, {self.size / 1e6:,.0f} MB)"

    def holdout(self) -> Source | None:
        """The test part, which is read once and not kept."""
        return self.whole.holdout()

    def parts(self) -> dict[str, Source]:
        """The parts of the rows; only this one is kept."""
        return {**self.whole.parts(), "train": self}

    def row_name(self, row: int) -> str:
        """What the rows themselves call it."""
        return self.whole.row_name(row)


class _FileRows:
    """Rows of one size in a file without a name, written and read by position, by several threads at once."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape[1:], dtype
        self.size = dtype.itemsize
        for side in self.shape:
            self.size *= side
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object
        weakref.finalize(self, self._file.close)

    def __setitem__(self, rows: NDArray[np.int64], content: NDArray[np.generic]) -> None:
        for row, item in zip(rows.tolist(), content, strict=True):
            os.pwrite(self._file.fileno(), item.tobytes(), row * self.size)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        import numpy as np

        content = b"".join([os.pread(self._file.fileno(), self.size, row * self.size) for row in rows.tolist()])
        return np.frombuffer(content, self.dtype).reshape(len(rows), *self.shape)


def _check_room(size: int, where: str) -> None:
    free = _free_memory() if where == "memory" else _free_disk()
    if size > SPARE * free:
        place = "memory" if where == "memory" else tempfile.gettempdir()
        other = "Keep them in a file: -o data.cache=disk" if where == "memory" else "Set TMPDIR to a larger folder"
        raise InputError(
            f"the decoded images take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free in {place}. {other}, or use "
            "smaller images: -o data.image_size=64"
        )


def _free_disk() -> float:
    import shutil

    return float(shutil.disk_usage(tempfile.gettempdir()).free)


def _free_memory() -> float:
    """Memory that can be had without swapping, in bytes; infinite where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            lines = dict(line.split(":", 1) for line in file)
        return 1024.0 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float("inf")


def cached(source: Source, where: str) -> Source:
    """Keep the rows of a source once they are read.

    Args:
        source: the rows.
        where: ``"none"``, ``"memory"`` or ``"disk"``.

    Example:
        >>> import numpy as np
        >>> from kptk.data import ArraySource
        >>> rows = cached(ArraySource(np.arange(6, dtype="uint8").reshape(3, 2)), "disk")
        >>> rows.read(np.array([2, 0])).tolist()
        [[4, 5], [0, 1]]
    """
    return source if where == "none" else Cached(source, where)
