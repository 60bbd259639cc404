"""Looks at images: sizes, channels, contrast, duplicates, leakage into the test part."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source, Subset
from kptk.datacheck.duplicates import difference_hash, identical, near, shared
from kptk.datacheck.findings import Report

BLOCK = 256
SHOWN = 24
"""Pictures of a group on the page at most."""


def check_images(report: Report, source: Source, rows: NDArray[np.int64], test: Source | None) -> None:
    """Look at pictures.

    Args:
        report: gets facts, findings and pictures.
        source: the data.
        rows: those to look at.
        test: the test part, or None.
    """
    height, width, channels = source.row_shape
    report.facts["rows as"] = f"{height} x {width} x {channels}"
    _files(report, source, rows)
    digests, hashes, small, flat = _look(source, rows)
    flat_rows = rows[flat]
    if len(flat_rows):
        one = "" if len(flat_rows) == 1 else "s"
        report.warn(
            "contrast", f"{len(flat_rows):,} image{one} of a single colour, the first is {name(source, flat_rows[0])}."
        )
        _show(report, "Images of a single colour", source, flat_rows.tolist())
    groups = identical(digests)
    again = sum(len(group) - 1 for group in groups)
    report.facts["exact duplicates"] = again
    if again:
        report.warn(
            "duplicates", f"{again:,} images are exact copies of others. Remove them, or figures count them twice."
        )
        _show(report, "Exact copies", source, [int(rows[row]) for group in groups for row in group[:2]])
        _conflicts(report, source, rows, groups)
    exact = {row for group in groups for row in group}
    pairs = [pair for pair in near(hashes, small) if not exact.issuperset(pair)]
    report.facts["near duplicates"] = len(pairs)
    if pairs:
        report.warn("near duplicates", f"{len(pairs):,} pairs of images are nearly the same (see the page).")
        _show(report, "Nearly the same, in pairs", source, [int(rows[row]) for pair in pairs for row in pair])
    if test is not None and len(test):
        _leakage(report, source, rows, test, digests, hashes, small)
    _gallery(report, source, rows)


def _look(
    source: Source, rows: NDArray[np.int64]
) -> tuple[list[bytes], NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int64]]:
    digests: list[bytes] = []
    hashes, small, flat = [], [], []
    for start in range(0, len(rows), BLOCK):
        batch = pixels(source.read(rows[start : start + BLOCK]))
        digests += [hashlib.blake2b(image.tobytes(), digest_size=12).digest() for image in batch]
        made, copies = difference_hash(batch)
        hashes.append(made)
        small.append(copies)
        ranges = np.ptp(batch.reshape(len(batch), -1, batch.shape[-1]), axis=1).max(axis=-1)
        flat.append(start + np.flatnonzero(ranges == 0))
    return digests, np.concatenate(hashes), np.concatenate(small), np.concatenate(flat)


def pixels(batch: NDArray[Any]) -> NDArray[np.uint8]:
    """Images as bytes.

    Args:
        batch: integers of 0..255 or floats of 0..1.
    """
    if batch.dtype.kind in "iub":
        return batch.astype(np.uint8)
    return (255 * np.clip(np.nan_to_num(batch), 0, 1)).astype(np.uint8)


def name(source: Source, row: int) -> str:
    """A row for people: its file, or its number.

    Args:
        source: the data.
        row: its number.
    """
    called = source.row_name(row)
    return f"row {row:,}" if called == str(row) else called


def _files(report: Report, source: Source, rows: NDArray[np.int64]) -> None:
    """Sizes and channels of the files themselves, from their headers."""
    while isinstance(source, Subset):
        rows = source.rows[rows]
        source = source.whole
    encoded = getattr(source, "encoded", None)
    if encoded is None:
        return
    from PIL import Image

    sizes: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    for row in rows:
        try:
            with Image.open(io.BytesIO(encoded(int(row)))) as image:
                sizes[f"{image.width} x {image.height}"] += 1
                modes[image.mode] += 1
        except Exception:  # a file that went away meanwhile
            continue
    if not sizes:
        return
    report.facts["file sizes"] = _listed(sizes)
    report.facts["file modes"] = _listed(modes)
    if len(sizes) > 1:
        report.warn(
            "sizes", f"the files have {len(sizes):,} different sizes; all are read as {report.facts['rows as']}."
        )


def _listed(counts: Counter[str]) -> str:
    common = [f"{key} ({count:,})" for key, count in counts.most_common(5)]
    return ", ".join(common) + (f" and {len(counts) - 5:,} others" if len(counts) > 5 else "")


def _conflicts(report: Report, source: Source, rows: NDArray[np.int64], groups: list[list[int]]) -> None:
    if source.labels is None:
        return
    labels = source.labels
    bad = [group for group in groups if len({int(labels[rows[row]]) for row in group}) > 1]
    if bad:
        first = " and ".join(name(source, int(rows[row])) for row in bad[0][:2])
        report.fail(
            "labels", f"{len(bad):,} images come with different labels, first {first}. One of the labels is wrong."
        )


def _leakage(
    report: Report,
    source: Source,
    rows: NDArray[np.int64],
    test: Source,
    digests: list[bytes],
    hashes: NDArray[np.uint64],
    small: NDArray[np.uint8],
) -> None:
    test_rows = np.arange(len(test))[: max(len(rows), 1)]
    others = _look(test, test_rows)
    same = shared(digests, others[0])
    report.facts["test images that are in the training part"] = len(same)
    if same:
        report.fail(
            "leakage",
            f"{len(same):,} of {len(test_rows):,} test images are in the training part, first {name(test, same[0][1])}: "
            "figures on them say nothing about new data. Remove them from one of the parts.",
        )
    pairs = near(np.concatenate([hashes, others[1]]), np.concatenate([small, others[2]]), split=len(hashes))
    known = {row for _, row in same}
    close = {second - len(hashes): first for first, second in pairs if second - len(hashes) not in known}
    report.facts["test images that are nearly in the training part"] = len(close)
    if close:
        report.warn("leakage", f"{len(close):,} test images are nearly the same as a training image (see the page).")
        tiles = []
        for second, first in list(close.items())[: SHOWN // 2]:
            tiles.append((f"train, {name(source, int(rows[first]))}", source.read(rows[first : first + 1])[0]))
            tiles.append((f"test, {name(test, second)}", test.read(test_rows[second : second + 1])[0]))
        report.pictures.append(("Nearly the same in training and test part, in pairs", tiles))


def _show(report: Report, caption: str, source: Source, rows: list[int]) -> None:
    chosen = np.array(rows[:SHOWN], dtype=np.int64)
    images = source.read(chosen)
    tiles = [(name(source, int(row)), image) for row, image in zip(chosen, images, strict=True)]
    more = f" (the first {SHOWN} of {len(rows):,})" if len(rows) > SHOWN else ""
    report.pictures.append((caption + more, tiles))


def _gallery(report: Report, source: Source, rows: NDArray[np.int64]) -> None:
    chosen = np.random.default_rng(0).permutation(rows)[:SHOWN]
    if source.labels is not None:
        known = rows[source.labels[rows] >= 0]
        mixed = np.random.default_rng(0).permutation(known)
        firsts = [
            mixed[source.labels[mixed] == label][: max(SHOWN // len(source.class_names), 1)]
            for label in range(len(source.class_names))
        ]
        chosen = np.concatenate(firsts)[:SHOWN]
    images = source.read(chosen)
    tiles = []
    for row, image in zip(chosen, images, strict=True):
        label = "" if source.labels is None else f"{source.class_names[int(source.labels[row])]}: "
        tiles.append((f"{label}{name(source, int(row))}", image))
    report.pictures.insert(0, ("Some of the images", tiles))
