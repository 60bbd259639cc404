"""Readers: what they read, and the sentence for everything that they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kptk.errors import InputError, RunError
from kptk_vision.image_array import image_array
from kptk_vision.image_folder import image_folder
from kptk_vision.mnist10k import mnist10k

RNG = np.random.default_rng(0)


def save(path, size=(10, 12), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2}[mode]
    pixels = RNG.integers(0, 256, (*size, channels)).astype("uint8")
    Image.fromarray(pixels.squeeze()).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/deep/3.png", "dog/4.png"):
        save(tmp_path / "images" / name)
    return tmp_path / "images"


def test_sub_folders_are_classes(folder) -> None:
    source = image_folder(str(folder))
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.row_shape == (10, 12, 3)
    wanted = np.asarray(Image.open(folder / "cat/2.png"))
    np.testing.assert_array_equal(source.read(np.array([1]))[0], wanted)


def test_a_flat_folder_has_no_labels(tmp_path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    assert image_folder(str(tmp_path)).labels is None


def test_loose_images_beside_sub_folders_mean_no_labels(folder) -> None:
    save(folder / "loose.png")
    assert image_folder(str(folder)).labels is None


def test_mixed_sizes_and_channels_become_one_shape(tmp_path) -> None:
    save(tmp_path / "a.png", (40, 90))
    save(tmp_path / "b.png", (10, 10), "L")
    save(tmp_path / "c.png", (33, 20), "RGBA")
    source = image_folder(str(tmp_path))
    assert source.row_shape == (64, 64, 3)
    assert source.read(np.arange(3)).shape == (3, 64, 64, 3)
    small = image_folder(str(tmp_path), image_size=16, channels=1)
    assert small.read(np.arange(3)).shape == (3, 16, 16, 1)


def test_grey_files_stay_grey_and_sixteen_bits_are_scaled_not_cut_off(tmp_path) -> None:
    deep = RNG.integers(0, 65536, (8, 8)).astype("uint16")
    Image.fromarray(deep).save(tmp_path / "deep.png")
    source = image_folder(str(tmp_path))
    assert source.row_shape == (8, 8, 1)
    np.testing.assert_array_equal(source.read(np.array([0]))[0, ..., 0], deep // 257)


def test_transparent_pixels_are_white(tmp_path) -> None:
    pixels = np.zeros((4, 4, 4), "uint8")
    pixels[0, 0] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = image_folder(str(tmp_path)).read(np.array([0]))[0]
    assert image[0, 0].tolist() == [255, 0, 0]
    assert image[2, 2].tolist() == [255, 255, 255]


def test_photos_are_turned_upright(tmp_path) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (6, 9, 3)).astype("uint8"))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    assert image_folder(str(tmp_path)).row_shape == (9, 6, 3)


def broken_folder(tmp_path):
    save(tmp_path / "good.png")
    save(tmp_path / "good2.png")
    (tmp_path / "text.png").write_text("not an image")
    save(tmp_path / "cut.jpg", (64, 64))
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_unreadable_images_are_refused_with_path_and_count(tmp_path) -> None:
    with pytest.raises(InputError) as caught:
        image_folder(str(broken_folder(tmp_path)))
    assert str(tmp_path / "cut.jpg") in str(caught.value)
    assert "2 of 4 files cannot be read" in str(caught.value)
    assert "--on-bad-input skip" in str(caught.value)


def test_unreadable_images_are_left_out_and_listed(tmp_path) -> None:
    source = image_folder(str(broken_folder(tmp_path)), on_bad_input="skip")
    assert len(source) == 2
    assert {Path(bad.path).name for bad in source.skipped} == {"cut.jpg", "text.png"}
    assert "2 left out" in source.describe()


def test_no_images_at_all(tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no images in .* \(1 other files\)"):
        image_folder(str(tmp_path))
    (tmp_path / "x.png").write_text("no")
    with pytest.raises(InputError, match="none of the 1 images"):
        image_folder(str(tmp_path), on_bad_input="skip")


def test_links_that_loop_end(folder) -> None:
    (folder / "cat" / "again").symlink_to(folder)
    assert len(image_folder(str(folder))) == 4


def test_a_file_that_vanishes_while_training_is_named(folder) -> None:
    source = image_folder(str(folder))
    (folder / "cat/1.png").unlink()
    with pytest.raises(RunError, match=r"cat/1\.png could be read when the run began"):
        source.read(np.array([0]))


def test_fingerprint_follows_content_not_place(folder, tmp_path) -> None:
    before = image_folder(str(folder)).fingerprint()
    shutil.copytree(folder, tmp_path / "copy")
    assert image_folder(str(tmp_path / "copy")).fingerprint() == before
    save(folder / "cat/1.png")
    assert image_folder(str(folder)).fingerprint() != before


def test_npz_with_and_without_labels(tmp_path) -> None:
    x = RNG.integers(0, 256, (6, 8, 8)).astype("uint8")
    np.savez(tmp_path / "a.npz", x=x, y=np.array(list("ababab")))
    source = image_array(str(tmp_path / "a.npz"))
    assert source.class_names == ("a", "b")
    assert source.row_shape == (8, 8, 1)
    np.testing.assert_array_equal(source.read(np.arange(6))[..., 0], x)
    np.save(tmp_path / "b.npy", x)
    assert image_array(str(tmp_path / "b.npy")).labels is None


def test_npz_with_a_test_part(tmp_path) -> None:
    x, y = RNG.integers(0, 256, (6, 8, 8)).astype("uint8"), np.arange(6) % 2
    np.savez(tmp_path / "a.npz", x_train=x[:4], y_train=y[:4], x_test=x[4:], y_test=y[4:])
    source = image_array(str(tmp_path / "a.npz"))
    assert len(source) == 4
    assert len(source.holdout()) == 2


def test_floats_of_0_to_255_are_bytes_and_of_0_to_1_stay(tmp_path) -> None:
    x = RNG.random((5, 8, 8)).astype("float32")
    np.save(tmp_path / "a.npy", x)
    np.testing.assert_array_equal(image_array(str(tmp_path / "a.npy")).read(np.arange(5))[..., 0], x)
    np.save(tmp_path / "b.npy", np.rint(x * 255))
    assert image_array(str(tmp_path / "b.npy")).read(np.arange(5)).dtype == np.uint8


def write(name, value):
    def make(folder):
        path = folder / name
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif name.endswith(".npz"):
            np.savez(path, **value)
        else:
            np.save(path, value, allow_pickle=True)
        return str(path)

    return make


NAN = np.zeros((5, 4, 4), "float32")
NAN[3, 1, 1] = np.nan


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (write("a.npy", np.array([{"a": 1}], dtype=object)), "pickled objects"),
        (write("a.npz", {"x": np.array(["a", None], dtype=object)}), "pickled objects"),
        (write("a.npy", NAN), r"NaN or infinity in 1 of 5 rows, first in row 3.*--on-bad-input skip"),
        (write("a.npz", {"images": np.zeros((2, 4, 4))}), "must hold an array called x .* It holds: images"),
        (
            write("a.npz", {"x": np.zeros((2, 4, 4), "uint8"), "y": np.zeros(3)}),
            "one label for each of the 2 rows",
        ),
        (
            write("a.npz", {"x": np.zeros((2, 4, 4), "uint8"), "y": np.array([["a", "b"], ["c", "d"]])}),
            "must hold numbers where a row has several",
        ),
        (write("a.npy", np.zeros((2, 4, 4, 7), "uint8")), "must have the shape"),
        (write("a.npy", np.zeros((0, 4, 4), "uint8")), "no rows"),
        (write("a.npy", np.full((2, 4, 4), -3, "int64")), "must be 0..255"),
        (write("a.npy", np.full((2, 4, 4), 1e6)), "float images must be 0..1 or 0..255"),
        (write("a.npy", np.full((2, 4, 4), "x")), "must hold numbers"),
        (write("a.npz", b"PK\x03\x04 and then nothing"), "not a readable|damaged"),
        (write("a.npz", b"hello"), "not a NumPy file"),
        (write("a.npy", b"\x93NUMPY"), "not a readable|damaged"),
    ],
)
def test_bad_arrays_are_refused(make, sentence, tmp_path) -> None:
    with pytest.raises(InputError, match=sentence):
        image_array(make(tmp_path))


def test_rows_with_nan_are_left_out_and_listed(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=NAN, y=np.arange(5))
    source = image_array(str(tmp_path / "a.npz"), on_bad_input="skip")
    assert len(source) == 4
    assert source.skipped[0].path.endswith("a.npz[3]")
    assert source.class_names == ("0", "1", "2", "4")


def test_bundled_digits() -> None:
    source = mnist10k()
    holdout = source.holdout()
    assert (len(source), len(holdout)) == (8000, 2000)
    assert source.row_shape == (28, 28, 1)
    assert set(source.labels) == set(range(10))
    train, test = (part.read(np.arange(len(part))).reshape(len(part), -1) for part in (source, holdout))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}
