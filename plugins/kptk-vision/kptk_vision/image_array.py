"""Images in NumPy files."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.arrayfiles import NUMPY, held, listed, meant
from kptk.data import ArraySource, BadInput
from kptk.errors import InputError

Array = NDArray[np.generic]


def image_array(path: str, *, on_bad_input: str = "error") -> ArraySource:
    """Open an ``.npz`` with ``x`` (and ``y`` where labelled), or an ``.npy`` with images.

    ``y`` may hold class numbers or names; or other targets: fractions, several numbers a row (NaN where unknown), masks
    ``(rows, height, width)``, images. An ``.npz`` may also hold ``x_train, y_train, x_test, y_test``; the test part
    becomes `holdout`. Nothing is ever unpickled.

    Args:
        path: the file.
        on_bad_input: ``"error"`` refuses rows with NaN or infinity, ``"skip"`` leaves them out and lists them.

    Returns:
        Images ``(height, width, channels)``, integers of 0..255 or floats of 0..1.

    Raises:
        InputError: if the file is damaged, is pickled, or does not hold images.
    """
    arrays = _read(Path(path))
    x = arrays.get("x", arrays.get("x_train"))
    y = arrays.get("y", arrays.get("y_train"))
    if x is None:
        raise _nameless(path, list(arrays))
    holdout = None
    if "x_test" in arrays:
        holdout = _source(path, arrays["x_test"], arrays.get("y_test"), on_bad_input, "x_test")
    return _source(path, x, y, on_bad_input, "x", holdout)


def refuses(path: str, given: Collection[str]) -> None:
    """Raise if an array file holds no images, going by the shapes of its arrays.

    Args:
        path: an ``.npz``, ``.npy``, ``.h5`` or ``.hdf5`` file.
        given: the options that the user set; with ``x``, which names the images, anything may be there.

    Raises:
        InputError: with the shape, or with what there is.
    """
    if "x" in given:
        return
    arrays = held(Path(path))
    if Path(path).suffix.lower() in NUMPY and not {"x", "x_train"} & arrays.keys():
        raise _nameless(path, list(arrays))
    found = meant(arrays)
    if any(len(array.dims) in (3, 4) for array in found.values()):
        return
    if len(found) == 1:
        ((name, array),) = found.items()
        raise InputError(
            f"{path}: {name} must have the shape (count, height, width) or (count, height, width, 1 or 3) to be images. "
            f"Received: {array.dims}."
        )
    raise InputError(f"{path} has no images, of shape (count, height, width). It holds: {listed(arrays)}.")


def _nameless(path: str, names: list[str]) -> InputError:
    return InputError(f"{path} must hold an array called x (and y where labelled). It holds: {', '.join(names)}.")


def _read(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file:
            start = file.read(6)
            if start != b"\x93NUMPY" and not start.startswith(b"PK"):
                raise InputError(f"{path} is not a NumPy file, whatever its name says.")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            return {name: loaded[name] for name in loaded.files}
    except InputError:
        raise
    except ValueError as error:
        if "pickle" in str(error).lower() and (start.startswith(b"\x93") or zipfile.is_zipfile(path)):
            raise InputError(
                f"{path} holds pickled objects, which could run code, so it is not read. "
                "Save plain numbers: np.savez(path, x=images.astype('uint8'), y=labels)"
            ) from None
        raise InputError(f"{path} is not a readable NumPy file: {error}") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path} is not a readable NumPy file: {error}") from None
    except (zipfile.BadZipFile, KeyError, SyntaxError) as error:  # what a damaged archive or header can cause
        raise InputError(f"{path} is damaged: {error}") from None


def _source(
    path: str, x: Array, y: Array | None, on_bad_input: str, name: str, holdout: ArraySource | None = None
) -> ArraySource:
    x = _images(path, x, name)
    skipped: list[BadInput] = []
    if np.issubdtype(x.dtype, np.floating):
        axes = tuple(range(1, x.ndim))
        bad = np.flatnonzero(~np.isfinite(x).all(axis=axes))
        if len(bad) and on_bad_input == "error":
            raise InputError(
                f"{path}: {name} has NaN or infinity in {len(bad):,} of {len(x):,} rows, first in row {bad[0]}. "
                "Mend them, or leave them out: --on-bad-input skip"
            )
        skipped = [BadInput(f"{path}[{row}]", "NaN or infinity") for row in bad]
        good = np.setdiff1d(np.arange(len(x)), bad)
        x, y = x[good], None if y is None else y[good]
        x = _in_range(path, x, name)
    labels, targets = labels_of(path, y, len(x))
    source = ArraySource(x, labels, targets=targets, name=Path(path).name, holdout=holdout)
    source.skipped = tuple(skipped)
    return source


def _images(path: str, x: Array, name: str) -> Array:
    """Check that an array holds images and give it a channel axis."""
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        raise InputError(
            f"{path}: {name} must have the shape (count, height, width) or (count, height, width, 1 or 3). "
            f"Received: {x.shape}."
        )
    if not len(x):
        raise InputError(f"{path}: {name} has no rows.")
    if x.dtype == bool:
        return x.astype("uint8") * np.uint8(255)
    if not np.issubdtype(x.dtype, np.integer) and not np.issubdtype(x.dtype, np.floating):
        raise InputError(f"{path}: {name} must hold numbers. Received: dtype {x.dtype}.")
    if np.issubdtype(x.dtype, np.integer):
        if x.min() < 0 or x.max() > 255:
            raise InputError(f"{path}: integer images must be 0..255. Received: {x.min()}..{x.max()} in {name}.")
        return x.astype("uint8", copy=False)
    return x.astype("float32", copy=False)


def _in_range(path: str, x: Array, name: str) -> Array:
    """Floats of 0..1 pass; 0..255 are what they look like and become bytes."""
    if not len(x):
        raise InputError(f"{path}: no row of {name} is free of NaN and infinity.")
    low, high = float(np.min(x)), float(np.max(x))
    if low >= 0 and 1.5 < high <= 255:
        return np.rint(x).astype("uint8")
    if low < -0.5 or high > 1.5:
        raise InputError(f"{path}: float images must be 0..1 or 0..255. Received: {low:g}..{high:g} in {name}.")
    return x


def labels_of(path: str, y: Array | None, rows: int) -> tuple[Any, Any]:
    """Class numbers or names, or other targets: fractions, several numbers a row, masks, images.

    Args:
        path: the file, for messages.
        y: what stands beside the images, or None.
        rows: how many images there are.

    Returns:
        Labels and targets, one of them None.

    Raises:
        InputError: if they do not fit.
    """
    if y is None:
        return None, None
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2, 3, 4) or len(y) != rows:
        raise InputError(f"{path}: y must hold one label for each of the {rows:,} rows of x. Received: {y.shape}.")
    numbers = np.issubdtype(y.dtype, np.number) or y.dtype == bool
    if y.ndim > 1 and not numbers:
        raise InputError(f"{path}: y must hold numbers where a row has several. Received: dtype {y.dtype}.")
    fractions = np.issubdtype(y.dtype, np.floating) and (not np.isfinite(y).all() or (y != np.rint(y)).any())
    return (None, y) if y.ndim > 1 or fractions else (y, None)
