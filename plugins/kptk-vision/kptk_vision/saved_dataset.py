"""Images of Hugging Face `datasets`, in a folder that `save_to_disk` wrote: Arrow files, read without that package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk.saved_sets import features_of, parts_of, table_of
from kptk.training.decode import Unreadable
from kptk_vision.image_parts import ImagePart, image_parts
from kptk_vision.names import Names
from kptk_vision.store import ImageStore


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
    opened = [(part, *_open(place)) for part, place in parts_of(folder)]
    store = ArrowStore(str(folder), [(part, images) for part, images, _, _ in opened])
    pieces = [ImagePart(part, len(images), labels) for part, images, labels, _ in opened]
    return image_parts(store, pieces, opened[0][3], image_size=image_size, channels=channels, on_bad_input=on_bad_input)


def _open(folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    """The column of images, the class of each row (None if there are no classes) and the names of the classes."""
    features = features_of(folder)
    kinds = {name: about.get("_type") for name, about in features.items()}
    image = next((name for name, kind in kinds.items() if kind == "Image"), "")
    label = next((name for name, kind in kinds.items() if kind == "ClassLabel"), "")
    if not image:
        raise InputError(
            f"{folder} is a saved data set without a column of images. It holds: {', '.join(features) or 'nothing'}. Texts are "
            "read by text_table; other tables from Parquet: datasets.load_from_disk(FOLDER).to_parquet('rows.parquet')."
        )
    table = table_of(folder)
    if table.column_names.count(image) != 1:
        raise InputError(f"{folder} is damaged: its Arrow files have no column '{image}'.")
    if not label:
        return table.column(image), None, ()
    cells = table.column(label).to_numpy()
    labels = np.where(np.isnan(cells.astype(np.float64)), -1, cells).astype(np.int64)
    return table.column(image), labels, tuple(map(str, features[label]["names"]))
