"""What a NumPy or HDF5 file holds, as its headers say: enough to tell images from tables. Needs no Keras and no memory."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kptk.errors import InputError

NUMPY = (".npz", ".npy")
HDF5 = (".h5", ".hdf5")
USUAL = ("x", "x_train", "X", "images", "features", "data", "table")
"""What the array is called that a file is about, beside labels and names."""
ONLY = "x"
"""The name of the array of an ``.npy`` file, which has none."""


@dataclass(frozen=True, slots=True)
class Held:
    """An array of a file.

    Args:
        dims: its sizes.
        dtype: of NumPy.
        turned: whether an ``.npy`` keeps it column by column.
        outside: whether its content is in other files.
    """

    dims: tuple[int, ...]
    dtype: Any
    turned: bool = False
    outside: bool = False

    def __str__(self) -> str:
        return " x ".join(map(str, self.dims)) or "one value"


def held(path: Path) -> dict[str, Held]:
    """The arrays of a file by their names; of an HDF5 file with the groups before them. Their contents are not read.

    Args:
        path: an ``.npz``, ``.npy``, ``.h5`` or ``.hdf5`` file.

    Raises:
        InputError: if it is damaged or something else.
    """
    return _hdf5(path) if path.suffix.lower() in HDF5 else _numpy(path)


def meant(arrays: Mapping[str, Held]) -> dict[str, Held]:
    """The arrays that say what a file is about: one of the usual name, else all.

    Args:
        arrays: as `held` gives them.

    Example:
        >>> list(meant({"y": Held((3,), "i8"), "x": Held((3, 8), "f8")}))
        ['x']
    """
    usual = next((name for name in USUAL if name in arrays), "")
    return {usual: arrays[usual]} if usual else dict(arrays)


def listed(arrays: Mapping[str, Held]) -> str:
    """What a file holds in words, for messages.

    Args:
        arrays: as `held` gives them.
    """
    words = [f"{name} ({array})" for name, array in arrays.items()]
    return ", ".join(words[:20]) + (", ..." if len(words) > 20 else "") or "nothing"


def read_header(file: IO[bytes]) -> Held:
    """Read the head of an ``.npy`` file; the numbers come next.

    Args:
        file: at its beginning.

    Raises:
        ValueError: if it is none.
    """
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    reader: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    dims, turned, dtype = reader(file)
    if version >= (3, 0) and dtype.names:  # in that version names are UTF-8
        dtype.names = tuple(name.encode("latin-1").decode("utf-8") for name in dtype.names)
    return Held(tuple(dims), dtype, turned=turned and len(dims) > 1)


def _numpy(path: Path) -> dict[str, Held]:
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start == b"\x93NUMPY":
                return {ONLY: read_header(file)}
            if not start.startswith(b"PK"):
                raise InputError(f"{path} is not a NumPy file, whatever its name says.")
            found = {}
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name.endswith(".npy"):
                        with archive.open(name) as member:
                            found[name.removesuffix(".npy")] = read_header(member)
            return found
    except InputError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a readable NumPy file: {error}") from None
    except (zipfile.BadZipFile, KeyError, SyntaxError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is damaged: {error}") from None  # also an encrypted or strangely packed archive


def _hdf5(path: Path) -> dict[str, Held]:
    import h5py

    found: dict[str, Held] = {}

    def see(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = Held(tuple(item.shape or ()), item.dtype, outside=bool(item.external or item.is_virtual))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(see)  # links to other files are not followed
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is not a whole HDF5 file: {error}") from None
    return found
