"""What the folders of images say: parts such as train and test, and the class of each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kptk.data import Source
from kptk.parts import divided, part_called
from kptk_vision.image_rows import ImageRows


def arrange(source: ImageRows, paths: Callable[[], Iterator[str]]) -> Source:
    """Give images the classes and parts that their paths say.

    If all images lie in folders called train, test, validation (or alike), with train among them, these are parts. If all
    lie in sub-folders (of a part) and there are several, the first of each is its class.

    Args:
        source: every image, changed in place.
        paths: gives the path of each row, with ``/`` between folders; called twice.

    Returns:
        The images to learn from, which know the other parts; the source itself if there are none.
    """
    first = [path.partition("/")[0] if "/" in path else "" for path in paths()]
    folders = set(first)
    called = {folder: part_called(folder) for folder in folders}
    parts: list[str] = []
    if len(set(called.values())) > 1 and all(called.values()) and "train" in called.values():
        parts = [called[folder] for folder in first]
        first = [path.split("/", 2)[1] if path.count("/") > 1 else "" for path in paths()]
    name_classes(source, first)
    return divided(source, parts) if parts else source


def name_classes(source: ImageRows, classes: Sequence[str]) -> None:
    """Give rows their classes, unless one has none or all have the same.

    Args:
        source: the rows, changed in place.
        classes: the class of each row, by name.
    """
    names = sorted(set(classes))
    if "" in names or len(names) < 2:
        return
    number = {name: index for index, name in enumerate(names)}
    source.labels = np.fromiter((number[name] for name in classes), dtype=np.int64, count=len(classes))
    source.class_names = tuple(names)


def without_wrapping(paths: Sequence[str]) -> int:
    """Characters of the folders that all paths begin with and that wrap several folders, as archives often have one.

    Args:
        paths: with ``/`` between folders.

    Example:
        >>> without_wrapping(["photos/cat/1.png", "photos/dog/2.png"]), without_wrapping(["cat/1.png"])
        (7, 0)
    """
    cut = 0
    while True:
        heads = {path[cut:].partition("/")[0] if path.count("/", cut) > 1 else "" for path in paths}
        if len(heads) != 1 or "" in heads:
            return cut
        cut += len(heads.pop()) + 1
