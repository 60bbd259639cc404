"""Images of Hugging Face `datasets`, in a folder that `save_to_disk` wrote: Arrow files, read without that package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk.parts import divided, part_called
from kptk.training.decode import Unreadable
from kptk_vision.image_rows import image_rows
from kptk_vision.names import Names
from kptk_vision.store import ImageStore

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is what `datasets.Dataset.save_to_disk` or that of a `DatasetDict` writes.

    Args:
        folder: the folder.
    """
    return (folder / PARTS).is_file() or ((folder / STATE).is_file() and (folder / INFO).is_file())


class ArrowStore(ImageStore):
    """Encoded images in columns of Arrow files, which stay where they are: they are mapped, not read.

    Args:
        title: the folder.
        pieces: one for each part: its name, empty for the only one, and its column of images.
    """

    def __init__(self, title: str, pieces: list[tuple[str, Any]]) -> None:
        names = (f"{name}/{row}" if name else str(row) for name, column in pieces for row in range(len(column)))
        super().__init__(title, Names(names))
        self._columns = [column for _, column in pieces]
        self._ends = np.cumsum([len(column) for column in self._columns])

    def read(self, row: int) -> bytes:
        """The bytes of one image."""
        piece = int(np.searchsorted(self._ends, row, side="right"))
        cell = self._columns[piece][row - (int(self._ends[piece - 1]) if piece else 0)].as_py()
        content = (cell or {}).get("bytes")
        if not content:
            raise Unreadable("holds no image, only a path" if cell and cell.get("path") else "holds no image")
        return bytes(content)

    def where(self, row: int) -> str:
        """The folder, with the part and the row."""
        return f"{self.title}, row {self.names[row]}"


def saved_dataset(folder: Path, image_size: int, channels: int, on_bad_input: str) -> Source:
    """Open the images of a saved data set: its first column of images, with its first column of class labels.

    Args:
        folder: what `save_to_disk` wrote, of one `Dataset` or of a `DatasetDict`, whose splits become parts.
        image_size: see `kptk_vision.image_folder.image_folder`.
        channels: as there.
        on_bad_input: as there.

    Raises:
        InputError: if it holds no images, or is damaged.
    """
    parts = _json(folder / PARTS)["splits"] if (folder / PARTS).is_file() else [""]
    opened = [(str(part), *_open(folder / str(part) if part else folder)) for part in parts]
    store = ArrowStore(str(folder), [(part, images) for part, images, _, _ in opened])
    known = [labels for _, _, labels, _ in opened if labels is not None]
    every = np.concatenate(known) if len(known) == len(opened) else None
    meaning = "" if every is None else hashlib.sha256(every.tobytes() + repr(opened[0][3]).encode()).hexdigest()
    source = image_rows(store, image_size=image_size, channels=channels, on_bad_input=on_bad_input, meaning=meaning)
    if every is not None:
        source.labels, source.class_names = every[source.rows], opened[0][3]
    named = np.concatenate([np.repeat(part_called(part) or "train", len(images)) for part, images, _, _ in opened])
    return divided(source, named[source.rows].tolist()) if len(opened) > 1 else source


def _open(folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    """The column of images, the class of each row (None if there are no classes) and the names of the classes."""
    features: dict[str, Any] = _json(folder / INFO).get("features") or {}
    kinds = {name: about.get("_type") for name, about in features.items() if isinstance(about, dict)}
    image = next((name for name, kind in kinds.items() if kind == "Image"), "")
    label = next((name for name, kind in kinds.items() if kind == "ClassLabel"), "")
    if not image:
        raise InputError(
            f"{folder} is a saved data set without a column of images. It holds: {', '.join(features) or 'nothing'}. Texts and "
            "tables are read from Parquet: datasets.load_from_disk(FOLDER).to_parquet('rows.parquet'), of each part by itself."
        )
    table = _table(folder)
    if table.column_names.count(image) != 1:
        raise InputError(f"{folder} is damaged: its Arrow files have no column '{image}'.")
    if not label:
        return table.column(image), None, ()
    cells = table.column(label).to_numpy()
    labels = np.where(np.isnan(cells.astype(np.float64)), -1, cells).astype(np.int64)
    return table.column(image), labels, tuple(map(str, features[label]["names"]))


def _table(folder: Path) -> Any:
    import pyarrow as pa

    files = [folder / Path(entry["filename"]).name for entry in _json(folder / STATE).get("_data_files", [])]
    if not files:
        raise InputError(f"{folder} is a saved data set without rows.")
    try:
        return pa.concat_tables(_read(files))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{folder} is damaged: {str(error).splitlines()[0]}") from None


def _read(files: list[Path]) -> Iterator[Any]:
    import pyarrow as pa

    for file in files:
        yield pa.ipc.open_stream(pa.memory_map(str(file))).read_all()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is not what `save_to_disk` writes.")
    return found
