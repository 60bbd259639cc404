"""The bundled emoji: fixed stratified parts, on white, in colour."""

from __future__ import annotations

import numpy as np

import kptk
from kptk.config import resolve
from kptk.request import Request


def test_parts_are_fixed_stratified_and_apart() -> None:
    source = kptk.dataset("emoji48")
    test = source.holdout()
    assert (len(source), len(test), source.row_shape) == (1528, 378, (48, 48, 3))
    assert source.class_names == test.class_names
    assert source.class_names == (
        *("Activities", "Animals & Nature", "Flags", "Food & Drink", "Objects", "People & Body"),
        *("Smileys & Emotion", "Symbols", "Travel & Places"),
    )
    both = np.bincount(source.labels) + np.bincount(test.labels)
    assert both.tolist() == [85, 159, 270, 131, 264, 386, 169, 224, 218]
    missing = np.array([round(0.2 * count) for count in both]) - np.bincount(test.labels)
    assert (missing >= 0).all()
    assert missing.sum() == 4
    train, held = (data.read(np.arange(len(data))) for data in (source, test))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in held}
    assert source.fingerprint().startswith("cedf1930fa01a005")


def test_transparent_pixels_are_white_and_colours_are_there() -> None:
    source = kptk.dataset("emoji48")
    x = source.read(np.arange(len(source)))
    assert x.dtype == np.uint8
    corners = x[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all(axis=(1, 2)).mean() > 0.8
    flags = x[source.labels == source.class_names.index("Flags")].astype("int64")
    assert np.abs(flags[..., 0] - flags[..., 2]).mean() > 20


def test_it_suggests_views_that_keep_its_colours() -> None:
    config = resolve(kptk.Plugins(), Request(recipe="contrastive", data="emoji48"))
    values = config.preprocessor.values
    assert (values["jitter"], values["grey"], values["flip"]) == (0.2, 0.1, 0.5)
