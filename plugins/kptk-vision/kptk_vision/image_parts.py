"""Encoded images that come in parts, such as train and test, with the class of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.parts import divided, part_called
from kptk_vision.image_rows import image_rows
from kptk_vision.store import ImageStore


@dataclass(frozen=True, slots=True)
class ImagePart:
    """Images that follow each other in a store.

    Args:
        name: of the part, empty for the only one.
        count: how many they are.
        labels: class of each, -1 for none; None if the part has no classes.
    """

    name: str
    count: int
    labels: NDArray[np.int64] | None


def image_parts(
    store: ImageStore,
    parts: Sequence[ImagePart],
    class_names: tuple[str, ...],
    *,
    image_size: int,
    channels: int,
    on_bad_input: str,
) -> Source:
    """Open images of several parts: those of train are the rows, others wait as `kptk.parts` has them.

    Args:
        store: all images, part after part.
        parts: what they are; labels count only if each part has them.
        class_names: by class number.
        image_size: see `kptk_vision.image_folder.image_folder`.
        channels: as there.
        on_bad_input: as there.
    """
    known = [part.labels for part in parts if part.labels is not None]
    every = np.concatenate(known) if known and len(known) == len(parts) else None
    meaning = "" if every is None else hashlib.sha256(every.tobytes() + repr(class_names).encode()).hexdigest()
    source = image_rows(store, image_size=image_size, channels=channels, on_bad_input=on_bad_input, meaning=meaning)
    if every is not None:
        source.labels, source.class_names = every[source.rows], class_names
    named = np.concatenate([np.repeat(part_called(part.name) or "train", part.count) for part in parts])
    return divided(source, named[source.rows].tolist()) if len(parts) > 1 else source
