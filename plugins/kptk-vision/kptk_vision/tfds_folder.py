"""Images of TensorFlow Datasets, in a folder that it prepared: record files, read without that package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk.reading import json_object
from kptk.training.decode import Unreadable
from kptk_vision.image_parts import ImagePart, image_parts
from kptk_vision.names import Names
from kptk_vision.records import Records
from kptk_vision.store import ImageStore

FEATURES, INFO = "features.json", "dataset_info.json"
WRITER = "TensorFlow Datasets"
USUAL = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def is_tfds_folder(folder: Path) -> bool:
    """Whether a folder is what TensorFlow Datasets prepares: ``.../NAME/VERSION``.

    Args:
        folder: the folder.
    """
    return (folder / FEATURES).is_file() and (folder / INFO).is_file()


class RecordStore(ImageStore):
    """Encoded images in record files.

    Args:
        title: the folder.
        feature: name of the feature that holds the image.
        pieces: each part's name with its files.
    """

    def __init__(self, title: str, feature: str, pieces: list[tuple[str, list[Records]]]) -> None:
        counts = [(name, sum(map(len, files))) for name, files in pieces]
        super().__init__(title, Names(f"{name}/{row}" for name, count in counts for row in range(count)))
        self._feature = feature
        self._files = [file for _, files in pieces for file in files]
        self._ends = np.cumsum([len(file) for file in self._files])

    def read(self, row: int) -> bytes:
        """The bytes of one image."""
        file = int(np.searchsorted(self._ends, row, side="right"))
        values = self._files[file].example(row - (int(self._ends[file - 1]) if file else 0)).get(self._feature)
        if not values or not isinstance(values[0], bytes):
            raise Unreadable("holds no image")
        return values[0]

    def where(self, row: int) -> str:
        """The folder, with the part and the row."""
        return f"{self.title}, row {self.names[row]}"


def tfds_folder(folder: Path, image_size: int, channels: int, on_bad_input: str) -> Source:
    """Open the images of a prepared data set: its first feature of images, with its first class label.

    Args:
        folder: the one with `FEATURES`; its splits become parts.
        image_size: see `kptk_vision.image_folder.image_folder`.
        channels: as there.
        on_bad_input: as there.

    Raises:
        InputError: if it holds no images, is of another file format, or is damaged.
    """
    info = json_object(folder / INFO, WRITER)
    held = json_object(folder / FEATURES, WRITER).get("featuresDict", {}).get("features", {})
    image = next((name for name, about in held.items() if "image" in about), "")
    label = next((name for name, about in held.items() if "classLabel" in about), "")
    form = info.get("fileFormat", "tfrecord")
    if not image or form != "tfrecord":
        raise InputError(
            f"{folder} is a data set of TensorFlow Datasets of which kptk reads images in tfrecord files. It holds "
            f"{', '.join(held) or 'nothing'} in {form} files. Write it out: pip install tensorflow-datasets, then "
            "tfds.builder_from_directory(FOLDER).as_dataset(), and np.savez('images.npz', x=..., y=...)"
        )
    pieces = [(split["name"], [Records(file) for file in _files(folder, info, split)]) for split in info["splits"]]
    pieces = [(name, files) for name, files in pieces if files]
    if not pieces:
        raise InputError(f"{folder} is a data set without rows.")
    store = RecordStore(str(folder), image, pieces)
    parts = [ImagePart(name, sum(map(len, files)), _labels(files, label)) for name, files in pieces]
    names = _class_names(folder, label, held.get(label, {})) if label else ()
    return image_parts(store, parts, names, image_size=image_size, channels=channels, on_bad_input=on_bad_input)


def _files(folder: Path, info: dict[str, Any], split: dict[str, Any]) -> list[Path]:
    """The files of a split that have rows."""
    counts = [int(count) for count in split.get("shardLengths", [])]
    found = []
    for number, count in enumerate(counts):
        name = split.get("filepathTemplate") or USUAL
        filled = {"DATASET": info.get("name", ""), "SPLIT": split["name"], "FILEFORMAT": "tfrecord"}
        filled |= {"SHARD_X_OF_Y": f"{number:05d}-of-{len(counts):05d}"}
        for key, value in filled.items():
            name = name.replace(f"{{{key}}}", str(value))
        if count:
            found.append(folder / Path(name).name)
    return found


def _labels(files: list[Records], label: str) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    if not label:
        return None
    cells = (file.example(number).get(label) or [-1] for file in files for number in range(len(file)))
    return np.fromiter((int(values[0]) for values in cells), np.int64)


def _class_names(folder: Path, label: str, about: dict[str, Any]) -> tuple[str, ...]:
    """Names of the classes; their numbers where none are written."""
    path = folder / f"{label}.labels.txt"
    if path.is_file():
        return tuple(path.read_text(encoding="utf-8").split("\n")[: int(about["classLabel"]["numClasses"])])
    return tuple(map(str, range(int(about["classLabel"]["numClasses"]))))
