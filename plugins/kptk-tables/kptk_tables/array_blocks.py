"""Arrays of NumPy and HDF5 files, some rows at a time: memory does not grow with them."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kptk.arrayfiles import HDF5, Held, read_header
from kptk.errors import InputError

Take = Callable[[int, int], NDArray[Any]]
"""Reads the rows from one number to before another. Calls go forward through the array."""


@contextmanager
def opened_arrays(path: Path, names: Sequence[str]) -> Iterator[dict[str, Take]]:
    """Open some arrays of a file for reading them from their beginning.

    Args:
        path: an ``.npz``, ``.npy``, ``.h5`` or ``.hdf5`` file.
        names: of the arrays, as `kptk.arrayfiles.held` gives them.

    Raises:
        InputError: if it is cut off or damaged.
    """
    with ExitStack() as stack:
        try:
            if path.suffix.lower() in HDF5:
                import h5py

                file = stack.enter_context(h5py.File(path, "r"))
                yield {name: _slices(file[name]) for name in names}
                return
            with path.open("rb") as start:
                packed = start.read(2) == b"PK"
            archive = stack.enter_context(zipfile.ZipFile(path)) if packed else None
            files = {
                name: stack.enter_context(archive.open(f"{name}.npy") if archive else path.open("rb")) for name in names
            }
            yield {name: _npy(file, stack) for name, file in files.items()}
        except InputError:
            raise
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path} is damaged or cut off ({error}). Copy it again.") from None


def _slices(data_set: Any) -> Take:
    return lambda start, stop: np.asarray(data_set[start:stop])


def _npy(file: IO[bytes], stack: ExitStack) -> Take:
    array = read_header(file)
    if not array.turned:
        return lambda start, stop: _numbers(file, array, (stop - start, *array.dims[1:]))
    if not file.seekable() or isinstance(file, zipfile.ZipExtFile):  # going back in an archive unpacks it again
        unpacked = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the stack closes it
        shutil.copyfileobj(file, unpacked, 1 << 20)
        return _columns(unpacked, 0, array)
    return _columns(file, file.tell(), array)


def _columns(file: IO[bytes], begin: int, array: Held) -> Take:
    """A matrix that is kept column by column."""
    rows, columns = array.dims

    def take(start: int, stop: int) -> NDArray[Any]:
        block = np.empty((stop - start, columns), array.dtype)
        for column in range(columns):
            file.seek(begin + (column * rows + start) * array.dtype.itemsize)
            block[:, column] = _numbers(file, array, (stop - start,))
        return block

    return take


def _numbers(file: IO[bytes], array: Held, dims: tuple[int, ...]) -> NDArray[Any]:
    size = array.dtype.itemsize * int(np.prod(dims))
    content = b"".join(_read(file, size))
    return np.frombuffer(content, array.dtype, count=int(np.prod(dims))).reshape(dims)


def _read(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(size, 1 << 24))
        if not piece:
            raise EOFError("it ends before its last row")
        size -= len(piece)
        yield piece


def read_whole(path: Path, name: str, array: Held) -> list[str]:
    """Read a small array of texts, such as names of columns.

    Args:
        path: the file.
        name: of the array.
        array: what its header says.

    Raises:
        InputError: if a text is no UTF-8.
    """
    with opened_arrays(path, [name]) as takes:
        cells = takes[name](0, array.dims[0]).tolist()
    try:
        return [cell.decode("utf-8") if isinstance(cell, bytes) else str(cell) for cell in cells]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {name} holds texts that are no UTF-8: {error}.") from None
