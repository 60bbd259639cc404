"""Readers of images with captions: what they read, how they are chosen, and what they say about bad input."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from importlib import resources

import numpy as np
import pytest
from PIL import Image

import kptk
from kptk.locating import locate, locate_like
from kptk.plugins import Plugins
from kptk_image_text.pairs import captions_of


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype="uint8")).save(tmp_path / f"{name}.png")
    return tmp_path


def table(folder, rows, name="pairs.csv", columns=("file", "caption", "kind", "split")):
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows))
    elif name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows]), path)
    else:
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter="\t" if name.endswith(".tsv") else ",").writerows([columns, *rows])
    return str(path)


ROWS = [
    ("one.png", "a first one", "a", "train"),
    ("two.png", "the  second", "b", "train"),
    ("one.png", "again the first", "a", "train"),
    ("three.png", "a third", "b", "test"),
]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.jsonl", "pairs.parquet"])
def test_table_has_a_row_for_each_caption(pictures, name) -> None:
    source = kptk.dataset(table(pictures, ROWS, name), image="file", text="caption", label="kind")
    assert [len(source), len(source.holdout())] == [3, 1]
    rows = source.read(np.array([2, 0]))
    assert [row.caption for row in rows] == ["again the first", "a first one"]
    assert np.array_equal(rows[0].image, np.asarray(Image.open(pictures / "one.png")))
    assert source.labels.tolist() == [0, 1, 0] and source.class_names == ("a", "b")
    assert captions_of(source) == ["a first one", "the second", "again the first"]


def test_the_columns_say_which_reader_is_meant(pictures) -> None:
    path, plugins = table(pictures, ROWS), Plugins()
    assert locate(plugins, path, given=("image", "text"))[0].id == "image_text/captioned_table"
    assert locate(plugins, path, "text", given=("text",))[0].id == "text/text_table"
    assert locate(plugins, str(pictures), "image_text")[0].id == "image_text/captioned_folder"
    assert locate(plugins, str(pictures), "image")[0].id == "vision/image_folder"


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("one.png", "", "a", "")], {}, r"row 1: it has no caption: column 'caption' is empty"),
        ([("one.png", "x", "a", ""), ("", "y", "a", "")], {}, r"row 2: it has no image: column 'file' is empty"),
        ([("gone.png", "x", "a", "")], {}, "there is no such image"),
        ([("pairs.csv", "x", "a", "")], {}, "not an image"),
        ([("one.png", "x", "a", "test")], {}, "every row is marked as a test row"),
        (ROWS, {"text": "captoin"}, r"no column 'captoin' .* Did you mean 'caption'"),
        (ROWS, {"image": ""}, "say which column holds the paths of the images: -o data.image=NAME"),
        (ROWS, {"label": "colour"}, "no column 'colour'"),
        ([], {}, "has no image with a caption"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(pictures, rows, options, message) -> None:
    wanted = {"image": "file", "text": "caption"} | options
    with pytest.raises(kptk.InputError, match=message):
        _open(table(pictures, rows), wanted)


def _open(path, options):
    from kptk_image_text.captioned_table import captioned_table

    return captioned_table(path, **options)


def test_bad_rows_can_be_left_out_and_are_listed(pictures) -> None:
    rows = [*ROWS, ("gone.png", "nothing", "a", "train"), ("two.png", " ", "a", "train")]
    source = _open(table(pictures, rows), {"image": "file", "text": "caption", "on_bad_input": "skip"})
    assert len(source) == 3
    assert sorted(bad.reason.split(":")[0] for bad in source.skipped) == ["it has no caption", "there is no such image"]
    assert "2 left out" in source.describe()


def test_a_damaged_or_wrongly_encoded_table_is_said(pictures) -> None:
    (pictures / "pairs.csv").write_bytes("file,caption\none.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(kptk.InputError, match=r"is not utf-8: byte 0xe9"):
        _open(str(pictures / "pairs.csv"), {"image": "file", "text": "caption"})
    source = _open(str(pictures / "pairs.csv"), {"image": "file", "text": "caption", "encoding": "latin-1"})
    assert source.captions == ("café",)
    (pictures / "pairs.csv.gz").write_bytes(b"no archive")
    with pytest.raises(kptk.InputError, match=r"pairs\.csv\.gz cannot be read: Not a gzipped file"):
        _open(str(pictures / "pairs.csv.gz"), {"image": "file", "text": "caption"})
    (pictures / "pairs.csv").write_text("file,caption\none.png,a,b\n")
    with pytest.raises(kptk.InputError, match="row 1 has 3 columns and the header has 2"):
        _open(str(pictures / "pairs.csv"), {"image": "file", "text": "caption"})


def test_folder_pairs_files_of_one_name(pictures) -> None:
    for name in ("one", "two", "three"):
        (pictures / f"{name}.txt").write_text(f"about\n {name}\n")
    source = _folder(pictures)
    assert source.captions == ("about one", "about three", "about two")
    assert source.shape == (20, 20, 3) and source.labels is None
    assert source.fingerprint() == _folder(pictures).fingerprint()
    (pictures / "one.txt").write_text("about another")
    assert source.fingerprint() != _folder(pictures).fingerprint()


def _folder(path, **options):
    from kptk_image_text.captioned_folder import captioned_folder

    return captioned_folder(str(path), **options)


def test_folder_says_what_lacks_its_other_half(pictures) -> None:
    with pytest.raises(kptk.InputError, match="holds 3 images and 0 captions"):
        _folder(pictures)
    (pictures / "one.txt").write_text("about one")
    (pictures / "two.txt").write_text("")
    (pictures / "four.txt").write_text("about nothing")
    with pytest.raises(kptk.InputError, match=r"four.txt: it has no image: none is called four; 3 rows cannot be used"):
        _folder(pictures)
    source = _folder(pictures, on_bad_input="skip")
    assert source.captions == ("about one",)
    reasons = {bad.path.rpartition("/")[2]: bad.reason for bad in source.skipped}
    assert reasons["three.png"].startswith("it has no caption") and reasons["two.png"].startswith(
        "its caption is empty"
    )


def test_emoji_have_their_own_names() -> None:
    """The names are checked against the table that lies beside the pictures, row by row."""
    archive = resources.files("kptk_vision") / "data" / "emoji_noto48.zip"
    with archive.open("rb") as stream, zipfile.ZipFile(stream) as content, content.open("metadata.csv") as lines:
        rows = list(csv.DictReader(io.TextIOWrapper(lines, encoding="utf-8")))
        wanted = {" ".join(row["label_de"].split()): row["hexcode"] for row in rows}
        source = kptk.dataset("emoji_captions", language="de")
        for part in (source, source.holdout()):
            for row in part.read(np.arange(0, len(part), 97)):
                with Image.open(io.BytesIO(content.read(f"img/{wanted[row.caption]}.png"))) as picture:
                    white = Image.new("RGBA", picture.size, "white")
                    own = np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))
                assert np.array_equal(row.image, own), row.caption
    assert not set(source.captions) & set(source.holdout().captions)
    both = kptk.dataset("emoji_captions", caption="both")
    assert len(both) == 1528 and all(": " in caption or caption for caption in both.captions)


def test_captions_for_other_pictures_are_refused(monkeypatch) -> None:
    from kptk_image_text import emoji_captions as module

    monkeypatch.setitem(module.WRITTEN_FOR, "test", "0" * 16)
    with pytest.raises(kptk.InputError, match="were written for other pictures"):
        module.emoji_captions()


def test_sides_are_ordinary_images_and_texts(pictures) -> None:
    options = "image=file,text=caption,label=kind"
    images = kptk.dataset("pair_images", pairs=table(pictures, ROWS), options=options)
    texts = kptk.dataset("pair_texts", pairs=table(pictures, ROWS), options=options)
    assert (images.inputs, images.row_shape, len(images), len(images.holdout())) == ("image", (20, 20, 3), 3, 1)
    assert (texts.inputs, texts.row_shape) == ("text", ())
    assert texts.read(np.array([1]))[0] == "the second" and texts.labels.tolist() == [0, 1, 0]
    with pytest.raises(kptk.UsageError, match="holds image, not images with captions"):
        kptk.dataset("pair_images", pairs="mnist10k")


def test_shared_captions_are_counted(pictures) -> None:
    rows = [("one.png", "same", "a", ""), ("two.png", "same", "a", ""), ("three.png", "other", "a", "")]
    source = _open(table(pictures, rows), {"image": "file", "text": "caption"})
    assert source.shared == 2 and "2 share a caption with another image" in source.describe()


def test_a_folder_is_read_by_what_it_is_full_of(pictures) -> None:
    plugins = Plugins()

    def reader() -> str:
        return locate(plugins, str(pictures))[0].id

    assert reader() == "vision/image_folder"
    (pictures / "readme.txt").write_text("Three pictures.")  # one text makes no captions
    assert reader() == "vision/image_folder"
    for name in ("one", "two", "three"):
        (pictures / f"{name}.txt").write_text(f"picture {name}")
    assert reader() == "image_text/captioned_folder"
    assert (
        locate_like(plugins, str(pictures), "image")[0].id == "vision/image_folder"
    )  # a model of images wants no captions
    for picture in pictures.glob("*.png"):
        picture.unlink()
    assert reader() == "text/text_folder"
