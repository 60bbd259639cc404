"""`ArrayTable`: a table in arrays of a NumPy or HDF5 file, as a stream of pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kptk.arrayfiles import held
from kptk.errors import InputError
from kptk.tablerows import BadRows, refuse_twice
from kptk_tables.array_blocks import Take, opened_arrays, read_whole
from kptk_tables.array_layout import ArrayLayout, Member, array_layout
from kptk_tables.chunks import BLOCK, ROWS, Chunk, decoded

SPLIT = "split"
"""The column that says train and test where the file has both as arrays of their own."""
UNITS = ("s", "ms", "us", "ns", "D")
"""Units of dates that Arrow has."""


class ArrayTable:
    """Opens the file and looks at its headers only.

    Args:
        path: an ``.npz``, ``.npy``, ``.h5`` or ``.hdf5`` file.
        table: name of the array, or of the group of HDF5; empty to look for it.

    Raises:
        InputError: if it is no table.
    """

    def __init__(self, path: Path, table: str = "") -> None:
        self.path = path
        self._arrays = held(path)
        self.layout: ArrayLayout = array_layout(str(path), self._arrays, table)
        self._members = [self.layout.members, *([self.layout.test] if self.layout.test else [])]
        self._classes = self._texts(self.layout.classes)
        self._names = [name for member in self.layout.members for name in self._columns(member)]
        refuse_twice(path, [*self._names, *([SPLIT] if self.layout.test else [])])

    def meaning(self, label: str, split: str, drop: Collection[str]) -> tuple[str, str]:
        """The columns of labels and parts: as the user said, else as the names of the arrays say.

        Args:
            label: as the user said; ``-`` for none.
            split: as the user said.
            drop: columns that the user wants to leave out.
        """
        own = "" if self.layout.label in drop else self.layout.label
        return ("" if label == "-" else label or own), split or (SPLIT if self.layout.test else "")

    def chunks(self, problems: BadRows) -> Iterator[Chunk]:
        """Read the table from its beginning.

        Args:
            problems: gets rows that cannot be read.

        Yields:
            Pieces with the same columns.
        """
        begin = 0
        for part, members in zip(("train", "test"), self._members, strict=False):
            arrays = [self._arrays[member.array] for member in members]
            width = sum(array.dtype.itemsize * int(np.prod(array.dims[1:])) for array in arrays)
            step, count = max(1, min(ROWS, BLOCK // max(width, 1))), arrays[0].dims[0]
            with opened_arrays(self.path, [member.array for member in members]) as takes:
                for start in range(0, count, step):
                    stop = min(start + step, count)
                    cells = [c for member in members for c in self._cells(member, takes[member.array], start, stop)]
                    columns = dict(zip(self._names, cells, strict=True))
                    if self.layout.test:
                        columns[SPLIT] = pa.array([part] * (stop - start), pa.string())
                    rows = np.arange(begin + start + 1, begin + stop + 1, dtype=np.int64)
                    yield decoded(Chunk(rows, columns), problems)
            begin += count

    def _columns(self, member: Member) -> tuple[str, ...]:
        if member.form != "matrix":
            return member.columns
        width = self._arrays[member.array].dims[1]
        names = self._texts(self.layout.names)
        if names and len(names) != width:
            raise InputError(
                f"{self.path}: {self.layout.names} must name the {width:,} columns of {member.array}. Received: {len(names):,} "
                "names."
            )
        return tuple(names) or tuple(f"x{place}" for place in range(width))

    def _texts(self, name: str) -> list[str]:
        return read_whole(self.path, name, self._arrays[name]) if name else []

    def _cells(self, member: Member, take: Take, start: int, stop: int) -> Iterator[Any]:
        block = take(start, stop)
        if member.form == "fields":
            yield from (_arrow(block[name]) for name in block.dtype.names or ())
        elif member.form == "matrix":
            yield from (_arrow(block[:, place]) for place in range(block.shape[1]))
        elif member.form == "classes":
            yield self._named(member, block.reshape(-1), start)
        else:
            yield _arrow(block.reshape(-1))

    def _named(self, member: Member, codes: NDArray[np.integer[Any]], start: int) -> Any:
        """Numbers of classes as their names; a number below 0 is no class."""
        wrong = np.flatnonzero(codes >= len(self._classes))
        if len(wrong):
            raise InputError(
                f"{self.path}, row {start + int(wrong[0]) + 1:,}: {member.array} must be below {len(self._classes):,}, the count "
                f"of {self.layout.classes}. Received: {codes[wrong[0]]}."
            )
        return pa.array([self._classes[code] if code >= 0 else None for code in codes.tolist()], pa.string())


def _arrow(cells: NDArray[Any]) -> Any:
    """One column of NumPy as an Arrow array; texts may be bytes, which are no UTF-8 yet."""
    kind = cells.dtype.kind
    if kind == "O":  # texts of HDF5
        return pa.array([cell.encode() if isinstance(cell, str) else cell for cell in cells.tolist()], pa.binary())
    if kind == "M" and np.datetime_data(cells.dtype) not in [(unit, 1) for unit in UNITS]:
        cells = cells.astype("datetime64[us]")
    return pa.array(np.ascontiguousarray(cells, np.float64 if kind == "f" else cells.dtype.newbyteorder("=")))
