"""Folders that TensorFlow Datasets prepared, read without that package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import InputError
from kptk_vision.image_folder import image_folder
from kptk_vision.records import Records

PREPARED = Path(__file__).parent / "data" / "tfds"


def drawn(rows: int, seed: int) -> np.ndarray:
    """The pixels that the data set was made of."""
    return np.random.default_rng(seed).integers(0, 256, (rows, 12, 12, 3), dtype="uint8")


def test_splits_labels_and_pixels() -> None:
    source = image_folder(str(PREPARED))
    held = source.holdout()
    assert (len(source), len(held), source.class_names) == (6, 3, ("cat", "dog"))
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1] and held.labels.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(source.read(np.arange(6)), drawn(6, 1))
    np.testing.assert_array_equal(held.read(np.array([2, 0])), drawn(3, 2)[[2, 0]])
    assert held.row_name(2) == "test/2"


def test_values_equal_those_that_tensorflow_reads() -> None:
    tf = pytest.importorskip("tensorflow")
    path = PREPARED / "tiny_pets-train.tfrecord-00000-of-00001"
    wanted = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    records = Records(path)
    assert len(records) == len(wanted)
    for number, example in enumerate(wanted):
        features = example.features.feature
        assert records.example(number)["image"] == list(features["image"].bytes_list.value)
        assert records.example(number)["label"] == list(features["label"].int64_list.value)


def test_numbers_of_any_size(tmp_path) -> None:
    tf = pytest.importorskip("tensorflow")
    values = [0, 1, 127, 128, 300, -1, 2**62, -(2**63)]
    whole = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    floats = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
    example = tf.train.Example(features=tf.train.Features(feature={"n": whole, "f": floats}))
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    assert Records(tmp_path / "a.tfrecord").example(0) == {"n": values}  # floats are no labels and no pictures


def test_what_cannot_be_read_says_so(tmp_path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(PREPARED, tmp_path / name))

    cut = copy("cut") / "tiny_pets-train.tfrecord-00000-of-00001"
    cut.write_bytes(cut.read_bytes()[:-3])
    with pytest.raises(InputError, match="cut off behind example 5"):
        image_folder(str(cut.parent))
    other = copy("other") / "tiny_pets-train.tfrecord-00000-of-00001"
    data = bytearray(other.read_bytes())
    data[12] = 0x0B  # a kind of field that there is not
    other.write_bytes(bytes(data))
    with pytest.raises(InputError, match="example 0 is damaged"):
        image_folder(str(other.parent))
    missing = copy("missing") / "tiny_pets-test.tfrecord-00000-of-00001"
    missing.unlink()
    with pytest.raises(InputError, match="tiny_pets-test"):
        image_folder(str(missing.parent))
    form = copy("form") / "dataset_info.json"
    form.write_text(json.dumps(json.loads(form.read_text()) | {"fileFormat": "array_record"}))
    with pytest.raises(InputError, match=r"in array_record files\. Write it out"):
        image_folder(str(form.parent))
