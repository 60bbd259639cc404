"""The bundled digits."""

from __future__ import annotations

from importlib import resources

import numpy as np

from kptk.data import ArraySource

CLASSES = tuple("0123456789")


def mnist10k() -> ArraySource:
    """Open the first 10,000 digits of MNIST's training set: 8,000 rows, and 2,000 as `holdout`.

    Returns:
        Images ``(28, 28, 1)`` of 0..255 with labels 0..9.

    Example:
        >>> source = mnist10k()
        >>> len(source), len(source.holdout())
        (8000, 2000)

    References:
        LeCun, Cortes and Burges, the MNIST database of handwritten digits, CC BY-SA 3.0.
    """
    file = resources.files("kptk_vision") / "data" / "mnist10k.npz"
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as arrays:
        train, test = (
            (arrays[f"x_{part}"][..., None], arrays[f"y_{part}"].astype("int64")) for part in ("train", "test")
        )
    holdout = ArraySource(*test, name="mnist10k test part", class_names=CLASSES)
    return ArraySource(*train, name="mnist10k", class_names=CLASSES, holdout=holdout)
