"""Images in an HDF5 file: one pass to look at them, then each batch is read when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput, Source
from kptk.errors import InputError, did_you_mean
from kptk_vision.image_array import labels_of

X_NAMES = ("x", "x_train", "images")
Y_NAMES = ("y", "y_train", "labels")
BLOCK = 1 << 25
"""Bytes that are looked at at a time."""


class HdfImages(Source):
    """Images of one data set of an HDF5 file; use `image_hdf5` to open them.

    Args:
        title: the file, for messages.
        images: the h5py data set.
        rows: those that can be used.
        scale: what numbers mean: ``"bytes"`` of 0..255, ``"unit"`` of 0..1 or ``"flags"``.
        fingerprint: of the content.
        skipped: rows that were left out.
    """

    inputs = "image"

    def __init__(
        self,
        title: str,
        images: Any,
        rows: NDArray[np.int64],
        scale: str,
        fingerprint: str,
        skipped: tuple[BadInput, ...],
    ) -> None:
        self.title = title
        self.images = images
        self.file = images.file  # open for as long as any part of it is in use
        self.rows = rows
        self.scale = scale
        self.row_shape = (*images.shape[1:], 1) if images.ndim == 3 else tuple(images.shape[1:])
        self.skipped = skipped
        self.test_part: Source | None = None
        self._fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch: bytes, or floats of 0..1."""
        wanted, places = np.unique(self.rows[rows], return_inverse=True)  # HDF5 reads in rising order only
        batch = np.asarray(self.images[wanted])[places].reshape(len(rows), *self.row_shape)
        if self.scale == "unit":
            return batch.astype("float32")
        if self.scale == "flags":
            return batch.astype("uint8") * np.uint8(255)
        return np.rint(batch).astype("uint8") if batch.dtype.kind == "f" else batch.astype("uint8")

    def fingerprint(self) -> str:
        """Hash of every number."""
        return self._fingerprint

    def describe(self) -> str:
        """One line: the file, how many images, their shape and classes."""
        classes = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        shape = " x ".join(map(str, self.row_shape))
        return f"{self.title}: {len(self):,} images as {shape}, {classes}{left_out}"

    def holdout(self) -> Source | None:
        """The images of ``x_test``, if the file has them."""
        return self.test_part


def image_hdf5(path: str, *, x: str = "", y: str = "", on_bad_input: str = "error") -> HdfImages:
    """Open the images of an HDF5 file. They are looked at once, and stay in the file: memory does not grow with them.

    Args:
        path: an ``.h5`` or ``.hdf5`` file.
        x: name of the data set of images, such as ``"group/images"``; by default one called x, x_train or images. Where it is
            called ``x_train``, ``x_test`` and ``y_test`` become the test part.
        y: name of the data set of labels; by default one called y, y_train or labels; ``-`` for none.
        on_bad_input: ``"error"`` refuses rows with NaN or infinity, ``"skip"`` leaves them out and lists them.

    Returns:
        Images ``(height, width, channels)``, integers of 0..255 or floats of 0..1.

    Raises:
        InputError: if the file is damaged or does not hold images, or takes content from other files.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is not a whole HDF5 file: {error}") from None
    try:
        name = _found(path, file, x, X_NAMES, "x", required=True)
        source = _opened(path, file, name, _found(path, file, y, Y_NAMES, "y"), on_bad_input)
        if name.endswith("x_train") and (test := name.removesuffix("train") + "test") in file:
            beside = test.replace("x_test", "y_test")
            source.test_part = _opened(path, file, test, beside if beside in file and y != "-" else "", on_bad_input)
    except BaseException:
        file.close()
        raise
    return source


def _data_sets(file: Any) -> Iterator[tuple[str, Any]]:
    """Names and shapes of what the file itself holds; links to other files are not followed."""
    import h5py

    found: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: found.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    yield from found


def _found(path: str, file: Any, wanted: str, usual: tuple[str, ...], option: str, *, required: bool = False) -> str:
    """Name of the data set that an option means, empty if it is not needed and not there."""
    if wanted == "-":
        return ""
    held = dict(_data_sets(file))
    name = wanted.strip("/") or next((name for name in usual if name in held), "")
    if not name and not required:
        return ""
    listed = ", ".join(f"{key} {item.shape}" for key, item in list(held.items())[:20]) or "nothing"
    if not name:
        raise InputError(f"{path}: say which data set holds the images: -o data.{option}=NAME. It holds: {listed}.")
    if name not in held:
        outside = " It is a link to another file, which is not followed." if name in file else ""
        hint = did_you_mean(name, held)
        raise InputError(
            f"{path} has no data set '{name}' (-o data.{option}=).{outside} It holds: {listed}. {hint}".strip()
        )
    if held[name].external or held[name].is_virtual:
        raise InputError(
            f"{path}: the data set '{name}' takes its content from other files, which is not read. Copy it."
        )
    return name


def _opened(path: str, file: Any, x: str, y: str, on_bad_input: str) -> HdfImages:
    images = file[x]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3)) or not len(images):
        raise InputError(
            f"{path}: {x} must have the shape (count, height, width) or (count, height, width, 1 or 3). "
            f"Received: {images.shape}."
        )
    if images.dtype.kind not in "biuf":
        raise InputError(f"{path}: {x} must hold numbers. Received: dtype {images.dtype}.")
    bad, low, high, digest = _look(path, images)
    if len(bad) and on_bad_input == "error":
        raise InputError(
            f"{path}: {x} has NaN or infinity in {len(bad):,} of {len(images):,} rows, first in row {bad[0]}. "
            "Mend them, or leave them out: --on-bad-input skip"
        )
    if len(bad) == len(images):
        raise InputError(f"{path}: no row of {x} is free of NaN and infinity.")
    rows = np.setdiff1d(np.arange(len(images)), bad)
    skipped = tuple(BadInput(f"{path}[{row}]", "NaN or infinity") for row in bad)
    labels, targets = labels_of(path, _texts(file[y][()]) if y else None, len(images))
    digest.update(repr((x, None if not y else file[y][()].tobytes(), len(bad))).encode())
    source = HdfImages(path, images, rows, _scale(path, x, images.dtype.kind, low, high), digest.hexdigest(), skipped)
    if labels is not None:
        names, codes = np.unique(labels[rows], return_inverse=True)
        source.labels = codes.astype(np.int64)
        source.class_names = tuple(str(name) for name in names)
    source.targets = None if targets is None else targets[rows]
    return source


def _look(path: str, images: Any) -> tuple[NDArray[np.int64], float, float, Any]:
    """Rows that are not finite, the smallest and the largest number, and a hash of all."""
    step = max(BLOCK // max(images.dtype.itemsize * int(np.prod(images.shape[1:])), 1), 1)
    digest, bad, low, high = hashlib.sha256(f"{images.shape}{images.dtype}".encode()), [], np.inf, -np.inf
    for start in range(0, len(images), step):
        try:
            block = np.asarray(images[start : start + step])
        except OSError as error:
            raise InputError(f"{path} is damaged near row {start:,}: {error}") from None
        digest.update(block.tobytes())
        if block.dtype.kind == "f":
            wrong = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
            bad.append(start + np.flatnonzero(wrong))
            block = block[~wrong]
        if block.size:
            low, high = min(low, float(block.min())), max(high, float(block.max()))
    return np.concatenate(bad) if bad else np.empty(0, np.int64), low, high, digest


def _scale(path: str, name: str, kind: str, low: float, high: float) -> str:
    if kind == "b":
        return "flags"
    if kind != "f":
        if low < 0 or high > 255:
            raise InputError(f"{path}: integer images must be 0..255. Received: {low:g}..{high:g} in {name}.")
        return "bytes"
    if low >= 0 and 1.5 < high <= 255:
        return "bytes"
    if low < -0.5 or high > 1.5:
        raise InputError(f"{path}: float images must be 0..1 or 0..255. Received: {low:g}..{high:g} in {name}.")
    return "unit"


def _texts(y: NDArray[np.generic]) -> NDArray[np.generic]:
    """Names that HDF5 gives as bytes, as texts."""
    if y.dtype.kind not in "SO":
        return y
    texts = [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in y.reshape(-1).tolist()
    ]
    return np.array(texts).reshape(y.shape)
