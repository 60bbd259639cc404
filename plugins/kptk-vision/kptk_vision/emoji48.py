"""The bundled emoji: small pictures in colour, harder than digits."""

from __future__ import annotations

import csv
import io
import zipfile
from importlib import resources

import numpy as np
from PIL import Image

from kptk.data import ArraySource
from kptk.training.decode import to_array

FILE = "emoji_noto48.zip"
SIDE = 48
TEST_SHARE = 0.2


def emoji48() -> ArraySource:
    """Open 1,906 Noto emoji on white: 1,528 rows, and 378 as `holdout`.

    The classes are Unicode's nine categories, from smileys to flags. A fifth of each class, drawn once and for all, is
    the test part, less the pictures that are drawn exactly as one of the others is (a few flags). The file is read as it
    is; nothing is unpacked to disk.

    Returns:
        Images ``(48, 48, 3)`` of 0..255 with labels 0..8.

    Example:
        >>> source = emoji48()
        >>> len(source), len(source.holdout()), source.class_names[2]
        (1528, 378, 'Flags')

    References:
        Noto Emoji (Google), Apache-2.0; names and categories: emojibase (MIT) and Unicode CLDR.
    """
    file = resources.files("kptk_vision") / "data" / FILE
    with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        with archive.open("metadata.csv") as table:
            rows = list(csv.DictReader(io.TextIOWrapper(table, encoding="utf-8")))
        pictures = [_picture(archive.read(f"img/{row['hexcode']}.png")) for row in rows]
    classes = tuple(sorted({row["category"] for row in rows}))
    x = np.stack(pictures)
    y = np.array([classes.index(row["category"]) for row in rows], dtype="int64")
    test = _test_rows(y)
    train = np.setdiff1d(np.arange(len(y)), test)
    known = {x[row].tobytes() for row in train}
    test = np.array([row for row in test if x[row].tobytes() not in known])
    train = np.setdiff1d(np.arange(len(y)), test)
    holdout = ArraySource(x[test], y[test], name="emoji48 test part", class_names=classes)
    return ArraySource(x[train], y[train], name="emoji48", class_names=classes, holdout=holdout)


def _picture(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        return to_array(image, 3, SIDE, SIDE)


def _test_rows(y: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The same fifth of each class, whatever the run's seed."""
    parts = []
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        order = np.random.default_rng([48, int(label)]).permutation(len(rows))
        parts.append(rows[order[: round(TEST_SHARE * len(rows))]])
    return np.sort(np.concatenate(parts))
