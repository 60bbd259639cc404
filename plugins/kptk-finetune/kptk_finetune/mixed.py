"""Labelled rows of one domain and unlabelled ones of another, mixed half and half."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError

Array = NDArray[Any]


class Mixed(Source):
    """Rows of two sources in turn: even numbers are the first source's, odd numbers the second's.

    It is as long as twice the longer one, so that an epoch sees every row; the rows of the shorter one come again.

    Args:
        source: rows of the source domain.
        target: rows of the target domain, of the same shape and type.

    Raises:
        InputError: if they are not.
    """

    def __init__(self, source: Source, target: Source) -> None:
        if not len(target):
            raise InputError(f"{target.describe()}: there are no rows of the target domain. Give some, without labels.")
        if tuple(source.row_shape) != tuple(target.row_shape):
            shapes = [" x ".join(map(str, part.row_shape)) for part in (target, source)]
            raise InputError(
                f"{target.describe()}: rows of the target domain must be like those that are learned from. "
                f"Received: {shapes[0]} for {shapes[1]}."
            )
        kinds = [part.read(np.arange(1)).dtype for part in (source, target)]
        if kinds[0] != kinds[1]:
            raise InputError(
                f"{target.describe()}: rows of the target domain are {kinds[1]}, those that are learned from {kinds[0]}. "
                "Bring both to one type and scale."
            )
        self.inputs = source.inputs
        self.row_shape = source.row_shape
        self.class_names = source.class_names
        self._parts = (source, target)

    def __len__(self) -> int:
        return 2 * max(len(part) for part in self._parts)

    def read(self, rows: NDArray[np.int64]) -> Array:
        """Read some rows as one batch."""
        sides = rows % 2
        batch: Array | None = None
        for side, part in enumerate(self._parts):
            places = np.flatnonzero(sides == side)
            if not len(places):
                continue
            read = part.read((rows[places] // 2) % len(part))
            if read.dtype.kind == "f" and not np.isfinite(read).all():
                raise InputError(f"{part.describe()}: rows hold NaN or infinity. Leave those rows out.")
            if batch is None:
                batch = np.empty((len(rows), *read.shape[1:]), read.dtype)
            batch[places] = read
        return batch if batch is not None else self._parts[0].read(rows)

    def mixed_labels(self, labels: Array) -> Array:
        """Labels of all rows, missing for those of the target domain.

        Args:
            labels: of the first source's rows.
        """
        numbers = np.arange(len(self))
        mixed = labels[(numbers // 2) % len(labels)].copy()
        mixed[1::2] = -1 if labels.dtype.kind in "iu" else np.nan
        return mixed

    def fingerprint(self) -> str:
        """Hash of both."""
        return hashlib.sha256("".join(part.fingerprint() for part in self._parts).encode()).hexdigest()

    def describe(self) -> str:
        """One line: the two sources."""
        return " mixed with ".join(part.describe() for part in self._parts)
