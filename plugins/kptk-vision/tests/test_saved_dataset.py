"""Folders that `save_to_disk` of Hugging Face's datasets wrote, read without that package."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kptk.errors import InputError
from kptk_vision.image_folder import image_folder

SAVED = Path(__file__).parent / "data" / "saved_dataset"


def test_splits_labels_and_pixels() -> None:
    source = image_folder(str(SAVED))
    assert (len(source), len(source.holdout()), source.row_shape) == (5, 3, (6, 6, 3))
    assert source.class_names == ("owl", "bat")  # in the order of the class label, not of the alphabet
    assert source.labels.tolist() == [0, 1, 0, 1, 0]
    with pa.memory_map(str(SAVED / "test/data-00000-of-00001.arrow")) as file:
        cell = pa.ipc.open_stream(file).read_all()["picture"][2].as_py()
    wanted = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
    np.testing.assert_array_equal(source.holdout().read(np.array([2]))[0], wanted)
    assert source.holdout().row_name(2) == "test/2"


def test_one_part_alone_is_a_data_set_too() -> None:
    source = image_folder(str(SAVED / "train"))
    assert (len(source), source.holdout()) == (5, None)


def test_the_fingerprint_follows_the_labels(tmp_path) -> None:
    shutil.copytree(SAVED, tmp_path / "copy")
    first = image_folder(str(SAVED)).fingerprint()
    assert image_folder(str(tmp_path / "copy")).fingerprint() == first
    info = tmp_path / "copy/train/dataset_info.json"
    info.write_text(info.read_text().replace("owl", "elk"))
    assert image_folder(str(tmp_path / "copy")).fingerprint() != first


def test_what_cannot_be_read_says_so(tmp_path) -> None:
    shutil.copytree(SAVED / "train", tmp_path / "cut")
    arrow = tmp_path / "cut/data-00000-of-00001.arrow"
    arrow.write_bytes(arrow.read_bytes()[:300])
    with pytest.raises(InputError, match="cut is damaged"):
        image_folder(str(tmp_path / "cut"))
    shutil.copytree(SAVED / "train", tmp_path / "texts")
    info = json.loads((tmp_path / "texts/dataset_info.json").read_text())
    info["features"] = {"text": {"dtype": "string", "_type": "Value"}}
    (tmp_path / "texts/dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"without a column of images\. It holds: text"):
        image_folder(str(tmp_path / "texts"))
    (tmp_path / "texts/dataset_info.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset_info\.json cannot be read"):
        image_folder(str(tmp_path / "texts"))
