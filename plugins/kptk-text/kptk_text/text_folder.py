"""A folder of plain text files, with or without class sub-folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kptk.endings import TEXTS
from kptk.errors import InputError
from kptk.saved_sets import features_of, is_saved_set, parts_of
from kptk_text.building import RowBuilder
from kptk_text.rows import TextRows
from kptk_text.scanning import scan

ENDINGS = tuple(suffix + packed for suffix in TEXTS for packed in ("", ".gz", ".xz"))


def text_folder(
    path: str,
    *,
    unit: str = "file",
    encoding: str = "utf-8",
    duplicates: str = "keep",
    on_bad_input: str = "error",
) -> TextRows:
    """Open a folder of text files, read recursively.

    If all files lie in sub-folders and there are several, the first sub-folder of each is its class.

    Args:
        path: the folder.
        unit: what a document is: ``"file"``, ``"line"`` or ``"paragraph"`` (up to an empty line).
        encoding: of the files, unless a byte order mark says otherwise.
        duplicates: ``"keep"`` counts documents that came before, ``"drop"`` leaves them out.
        on_bad_input: ``"error"`` refuses a folder with files that are no text, ``"skip"`` leaves those out and lists them.

    Returns:
        The documents; empty ones are left out and counted.

    Raises:
        InputError: if there is no text file, or one that cannot be read.
    """
    root = Path(path)
    if is_saved_set(root):
        columns = ", ".join(features_of(parts_of(root)[0][1])) or "nothing"
        raise InputError(
            f"{root} is a saved data set of rows. Name its column of texts: -o data.text=NAME. It holds: {columns}."
        )
    files = sorted(_texts_below(root))
    if not files:
        others = sum(len(names) for _, _, names in os.walk(root))
        raise InputError(
            f"no text files in {root} ({others:,} other files). Readable: {', '.join(TEXTS)}, also packed as .gz or "
            ".xz, in sub-folders too."
        )
    builder = RowBuilder(root.name, on_bad_input=on_bad_input, duplicates=duplicates)
    labels = _labels(files)
    for name, label in zip(files, labels, strict=True):
        if not (root / name).stat().st_size:
            builder.empty += 1
            continue
        try:
            scan(root / name, builder, unit=unit, encoding=encoding, label=label)
        except InputError as error:
            if on_bad_input == "error":
                raise
            builder.bad(str(root / name), str(error).removeprefix(f"{root / name} "))
    return builder.finish()


def _texts_below(root: Path) -> Iterable[str]:
    """Paths of text files relative to the folder; links to folders are not followed, so loops end."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        base = Path(folder).relative_to(root)
        for name in names:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield str(base / name)


def _labels(names: list[str]) -> list[str | None]:
    tops = [Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in names]
    if "" in tops or len(set(tops)) < 2:
        return [None] * len(names)
    return list(tops)
