"""The bundled emoji with their names as captions."""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
from importlib import resources

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk_image_text.pairs import Pairs

FILE = "emoji_captions.csv.xz"
PICTURES = "vision/emoji48"
WRITTEN_FOR = {
    "train": "ee4983719a5169a325197582872d7c27",
    "test": "7f82030390807db700e884b17a9538a6",
}
"""Hashes of the pictures, part by part, that the captions were written for, in their order."""


def emoji_captions(*, caption: str = "name", language: str = "en") -> Pairs:
    """Open the 1,906 Noto emoji of kptk-vision with their Unicode names: 1,528 pairs, and 378 as `holdout`.

    The parts are those of ``emoji48``, so pictures that a run is tested on there were not seen here. The classes are Unicode's
    nine categories.

    Args:
        caption: ``"name"``; ``"keywords"``, some English words; or ``"both"``.
        language: of the names: ``"en"``, ``"de"``, ``"fr"`` or ``"es"``.

    Returns:
        Pairs of pictures ``(48, 48, 3)`` and names.

    Raises:
        UsageError: if kptk-vision, which has the pictures, is not installed.
        InputError: if it has other pictures.

    Example:
        >>> pairs = emoji_captions()
        >>> len(pairs), pairs.captions[3]
        (1528, 'keycap: 4')

    References:
        Noto Emoji (Google), Apache-2.0; names: Unicode CLDR through emojibase (MIT).
    """
    from kptk.training.assemble import open_named

    source = open_named(Plugins(), PICTURES)
    held = source.holdout()
    assert held is not None
    with (resources.files("kptk_image_text") / "data" / FILE).open("rb") as file, lzma.open(file) as lines:
        rows = list(csv.DictReader(io.TextIOWrapper(lines, encoding="utf-8")))
    texts = {split: [_text(row, caption, language) for row in rows if row["split"] == split] for split in WRITTEN_FOR}
    test = _part(held, "emoji_captions test part", texts["test"], WRITTEN_FOR["test"], None)
    return _part(source, "emoji_captions", texts["train"], WRITTEN_FOR["train"], test)


def _text(row: dict[str, str], caption: str, language: str) -> str:
    name, words = row[language], row["keywords"]
    return {"name": name, "keywords": words or name, "both": f"{name}: {words}" if words else name}[caption]


def _part(source: Source, name: str, captions: list[str], wanted: str, holdout: Pairs | None) -> Pairs:
    pictures = source.read(np.arange(len(source)))
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    if digest[: len(wanted)] != wanted or len(captions) != len(source):
        raise InputError(
            f"the captions of {name} were written for other pictures than {PICTURES} holds: these versions of "
            "kptk-image-text and kptk-vision do not go together."
        )
    return Pairs(
        name=name,
        pictures=lambda rows: np.asarray(pictures[rows], dtype=np.uint8),
        shape=tuple(int(side) for side in pictures.shape[1:]),  # type: ignore[arg-type]
        captions=captions,
        digest=digest,
        labels=source.labels,
        class_names=source.class_names,
        holdout=holdout,
    )
