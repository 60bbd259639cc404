"""Picture files as rows: each is decoded once at the start, so that a broken one is known before training."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput
from kptk.errors import InputError, RunError
from kptk.training.decode import GREY_MODES, Unreadable, common_shape, open_image, to_array
from kptk_image_text.pairs import Pairs

THREADS = 4

Look = tuple[int, int, bool, int]
"""Height, width, whether grey, checksum of the bytes."""


def pairs_of_files(
    name: str,
    files: Sequence[Path],
    captions: Sequence[str],
    *,
    where: Callable[[int], str],
    labels: Sequence[str] = (),
    test: Sequence[bool] = (),
    image_size: int,
    channels: int,
    bad: Sequence[BadInput],
    on_bad_input: str,
    note: str = "",
) -> Pairs:
    """Make pairs of picture files and captions, or say what is wrong with them.

    Args:
        name: what to call them in messages.
        files: a picture for each row.
        captions: a text for each row.
        where: the place of a row, for messages.
        labels: class of each row by name, empty for none.
        test: whether each row belongs to the test part; empty for no.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1, 3, or 0 for what the files have.
        bad: rows that were found bad before, such as those without a caption.
        on_bad_input: ``"error"`` or ``"skip"``.
        note: what else to say about them.

    Raises:
        InputError: if no row can be used, or one cannot and `on_bad_input` is ``"error"``.
    """
    looks: dict[Path, Look | str] = {}
    different = list(dict.fromkeys(files))
    with ThreadPoolExecutor(THREADS) as pool:
        looks.update(zip(different, pool.map(_look, different, chunksize=64), strict=True))
    worse = [(row, look) for row, file in enumerate(files) if isinstance(look := looks[file], str)]
    bad = [*bad, *(BadInput(f"{where(row)}: {files[row]}", look) for row, look in worse)]
    if bad and on_bad_input == "error":
        raise InputError(
            f"{bad[0].path}: {bad[0].reason}; {len(bad):,} rows cannot be used. Mend or remove them, or leave them out: "
            "-o data.on_bad_input=skip"
        )
    left_out = {row for row, _ in worse}
    good = np.array([row for row in range(len(files)) if row not in left_out], dtype=np.int64)
    if not len(good):
        first = f" First: {bad[0].path}: {bad[0].reason}" if bad else ""
        raise InputError(f"{name} has no image with a caption.{first}")
    whole = [look for look in looks.values() if not isinstance(look, str)]
    sizes = np.array([look[:2] for look in whole], dtype=np.int64)
    shape = common_shape(sizes, all(grey for _, _, grey, _ in whole), image_size, channels)
    classes = tuple(sorted({labels[row] for row in good} - {""})) if labels else ()
    number = {text: index for index, text in enumerate(classes)}
    kept = np.array([not test[row] for row in good]) if test else np.ones(len(good), dtype=bool)
    if not kept.any():
        raise InputError(f"{name}: every row is marked as a test row, so there is nothing to learn from.")

    def part(rows: NDArray[np.int64], title: str, holdout: Pairs | None) -> Pairs:
        digest = hashlib.sha256()
        for row in rows:
            digest.update(f"{files[row].name}\0{looks[files[row]]}\n".encode())
        return Pairs(
            name=title,
            pictures=PictureFiles([files[row] for row in rows], shape),
            shape=shape,
            captions=[captions[row] for row in rows],
            digest=digest.hexdigest(),
            labels=np.array([number.get(labels[row], -1) for row in rows], dtype=np.int64) if classes else None,
            class_names=classes,
            skipped=tuple(bad) if rows is train else (),
            note=note if rows is train else "",
            holdout=holdout,
        )

    train, rest = good[kept], good[~kept]
    return part(train, name, part(rest, f"{name} test part", None) if len(rest) else None)


class PictureFiles:
    """Reads picture files by number.

    Args:
        files: their paths.
        shape: what they are made into, ``(height, width, channels)``.
    """

    def __init__(self, files: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self.files = list(files)
        self.shape = shape

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode some as one batch of bytes.

        Args:
            rows: their numbers.
        """
        height, width, channels = self.shape
        batch = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for place, row in enumerate(rows):
            try:
                batch[place] = to_array(open_image(self.files[row].read_bytes()), channels, height, width)
            except (Unreadable, OSError) as error:
                raise RunError(
                    f"{self.files[row]} could be read when the run began and cannot be read now: {error}"
                ) from None
        return batch


def _look(path: Path) -> Look | str:
    """Decode a file; return what matters of it, or why it cannot be read."""
    if not path.is_file():
        return "there is no such image"
    try:
        content = path.read_bytes()
        image = open_image(content)
        return image.height, image.width, image.mode in GREY_MODES, zlib.crc32(content)
    except Unreadable as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
