"""Texts that are read by row number from an index of where each one lies, so that a corpus may be larger than memory."""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput, Source
from kptk.errors import InputError, RunError

OPEN_FILES = 64
"""Files of a folder that are mapped at one time."""


class Store:
    """Texts that are no file of their own (decompressed, or columns of a table), on disk in a file that nobody else sees.

    The file has no name: it goes when the process ends, however it ends.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the rows
        self.size = 0
        weakref.finalize(self, self.file.close)

    def write(self, text: bytes) -> tuple[int, int]:
        """Append a text; return where it starts and ends.

        Args:
            text: in UTF-8.

        Raises:
            InputError: if the disk is full.
        """
        try:
            self.file.write(text)
        except OSError as error:
            raise InputError(
                f"there is no room for the unpacked texts in {tempfile.gettempdir()}: {error.strerror}. Free some, or "
                "point TMPDIR to another disk."
            ) from None
        start, self.size = self.size, self.size + len(text)
        return start, self.size


class TextRows(Source):
    """Texts at known places of files; use a reader such as `kptk_text.text_file.text_file` to open some.

    Args:
        name: what to call it in messages.
        places: the files; None stands for the store.
        where: the file of each row, shape ``(rows,)``.
        starts: first byte of each row.
        ends: the byte behind it.
        digest: of the content.
        note: what was left out and counted, for `describe`; empty for nothing.
        store: holds the rows whose place is None.
        labels: class of each row, or None.
        targets: what is to be predicted where that is no class, or None.
        class_names: names of the classes.
        skipped: what could not be read.
        holdout: the test part, if there is one.

    Example:
        >>> from kptk_text.home_intents import home_intents
        >>> source = home_intents()
        >>> len(source), source.read(np.array([0]))[0]
        (4503, 'add 36-hours 68-minute to timer')
    """

    inputs = "text"
    row_shape = ()

    def __init__(
        self,
        *,
        name: str,
        places: list[Path | None],
        where: NDArray[np.int32],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        digest: str,
        note: str = "",
        store: Store | None = None,
        labels: NDArray[np.int64] | None = None,
        targets: NDArray[np.generic] | None = None,
        class_names: tuple[str, ...] = (),
        skipped: tuple[BadInput, ...] = (),
        holdout: TextRows | None = None,
    ) -> None:
        self.name = name
        self.places = places
        self.labels = labels
        self.targets = targets
        self.class_names = class_names
        self.skipped = skipped
        self.note = note
        self._where, self._starts, self._ends = where, starts, ends
        self._digest = digest
        self._store = store
        self._holdout = holdout
        self._sizes: dict[int, int] = {}
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._lock = Lock()  # batches are read ahead by several threads
        for place in {int(number) for number in np.unique(where)}:
            if (path := places[place]) is not None:
                self._sizes[place] = path.stat().st_size

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def size(self) -> int:
        """Length of all texts in UTF-8."""
        return int((self._ends - self._starts).sum())

    def named(self, name: str) -> TextRows:
        """Call the rows, and their test part, by another name.

        Args:
            name: for messages.
        """
        self.name = name
        if self._holdout is not None:
            self._holdout.name = f"{name} test part"
        return self

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some texts: a one-dimensional array of `str` objects.

        Args:
            rows: row numbers.

        Raises:
            RunError: if a file changed since it was opened.
        """
        texts = np.empty(len(rows), dtype=object)
        for place, row in enumerate(rows):
            start, end = int(self._starts[row]), int(self._ends[row])
            texts[place] = self._bytes(int(self._where[row]), start, end).decode("utf-8")
        return texts

    def fingerprint(self) -> str:
        """Hash of every text and label."""
        return self._digest

    def describe(self) -> str:
        """One line: how many texts, their size and classes, and what was left out."""
        labels = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        labels = "numbers as targets" if self.targets is not None else labels
        note = f"; {self.note}" if self.note else ""
        return f"{self.name}: {len(self):,} texts, {self.size / 1e6:.1f} MB, {labels}{note}"

    def holdout(self) -> Source | None:
        """The test part, if there is one."""
        return self._holdout

    def _bytes(self, place: int, start: int, end: int) -> bytes:
        with self._lock:
            view = self._open.get(place)
            if view is None:
                view = self._map(place)
                while len(self._open) >= OPEN_FILES:
                    self._open.popitem(last=False)
                self._open[place] = view
            self._open.move_to_end(place)
        return bytes(view[start:end])

    def _map(self, place: int) -> mmap.mmap:
        path = self.places[place]
        if path is None:
            assert self._store is not None
            self._store.file.flush()
            return mmap.mmap(self._store.file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            with path.open("rb") as file:
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise RunError(f"{path} could be read when it was opened and cannot be read now: {error}") from None
        if len(view) != self._sizes[place]:
            raise RunError(f"{path} changed while it was in use: {self._sizes[place]:,} bytes, now {len(view):,}.")
        return view
