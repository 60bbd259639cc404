"""Data sets of Hugging Face `datasets`, in folders that `save_to_disk` wrote: Arrow files, read without that package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kptk.errors import InputError
from kptk.parts import part_called
from kptk.reading import json_object

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"
SPLIT = "split"
"""The column that `saved_rows` adds, for the part of a row."""
WRITER = "`save_to_disk` of datasets"


def is_saved_set(folder: Path) -> bool:
    """Whether a folder is what `datasets.Dataset.save_to_disk` or that of a `DatasetDict` writes.

    Args:
        folder: the folder.
    """
    return (folder / PARTS).is_file() or ((folder / STATE).is_file() and (folder / INFO).is_file())


def parts_of(folder: Path) -> list[tuple[str, Path]]:
    """The parts of a saved set with their folders; one without a name where there are none.

    Args:
        folder: what `save_to_disk` wrote.
    """
    if not (folder / PARTS).is_file():
        return [("", folder)]
    return [(str(part), folder / str(part)) for part in json_object(folder / PARTS, WRITER).get("splits", [])]


def features_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What the columns of a part are, as `datasets` describes them.

    Args:
        folder: of the part.
    """
    features: dict[str, Any] = json_object(folder / INFO, WRITER).get("features") or {}
    return {name: about for name, about in features.items() if isinstance(about, dict)}


def table_of(folder: Path) -> Any:
    """The rows of a part as a table of `pyarrow`, whose files stay where they are: they are mapped, not read.

    Args:
        folder: of the part.

    Raises:
        InputError: if it has no rows or is damaged.
    """
    import pyarrow as pa

    files = [
        folder / Path(entry["filename"]).name for entry in json_object(folder / STATE, WRITER).get("_data_files", [])
    ]
    if not files:
        raise InputError(f"{folder} is a saved data set without rows.")
    try:
        return pa.concat_tables([pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files])
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{folder} is damaged: {str(error).splitlines()[0]}") from None


def saved_rows(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of every part: classes by their names, and the part of a row in `SPLIT` where there are several.

    A part whose name is none of train, validation and test is one to learn from, as with images.

    Args:
        folder: what `save_to_disk` wrote.

    Yields:
        Row numbers from 1, and cells by column name.
    """
    number, parts = 0, parts_of(folder)
    for part, place in parts:
        classes = {name: about["names"] for name, about in features_of(place).items() if about.get("names")}
        for batch in table_of(place).to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                number += 1
                for name, names in classes.items():
                    row[name] = names[row[name]] if row[name] is not None and row[name] >= 0 else None
                yield number, row | ({SPLIT: part_called(part) or "train"} if len(parts) > 1 else {})
