"""Archives of images: read where they lie, and refused with archive and member named."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kptk.errors import InputError
from kptk_vision.image_archive import image_archive
from kptk_vision.image_folder import image_folder

NAMES = ("cat/1.png", "cat/2.png", "dog/3.png", "dog/deep/4.png")


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12, 3)).astype("uint8")).save(file, "PNG")
    return file.getvalue()


CONTENT = {name: png(seed) for seed, name in enumerate(NAMES)}


def zipped(path: Path, content=CONTENT, prefix: str = "", method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(prefix + name, data)
    return str(path)


def tarred(path: Path, content=CONTENT, prefix: str = "") -> str:
    mode = {".tar": "w", ".tgz": "w:gz"}.get(path.suffix, f"w:{path.suffix[1:]}")
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: zipped(folder / "a.zip"),
        lambda folder: zipped(folder / "my.photos.zip", prefix="photos/", method=zipfile.ZIP_STORED),
        lambda folder: tarred(folder / "a.tar", prefix="./"),
        lambda folder: tarred(folder / "a.tgz"),
        lambda folder: tarred(folder / "a.tar.xz", prefix="wrapped/twice/"),
        lambda folder: tarred(folder / "a.tar.bz2"),
    ],
    ids=["zip", "stored zip", "tar", "tgz", "tar.xz", "tar.bz2"],
)
def test_an_archive_is_the_folder_that_was_packed(make, tmp_path) -> None:
    for name, data in CONTENT.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    folder, archive = image_folder(str(tmp_path / "folder")), image_archive(make(tmp_path))
    rows = np.array([3, 0, 2, 1])
    np.testing.assert_array_equal(archive.read(rows), folder.read(rows))
    assert archive.labels.tolist() == [0, 0, 1, 1]
    assert archive.class_names == ("cat", "dog")
    assert archive.row_name(3).endswith("dog/deep/4.png")
    assert "unpacked" not in archive.describe()


def test_only_a_compressed_tar_is_unpacked_and_says_so(tmp_path) -> None:
    assert image_archive(tarred(tmp_path / "a.tar")).remarks == ()
    (remark,) = image_archive(tarred(tmp_path / "a.tgz")).remarks
    assert "temporary file" in remark


def test_the_reader_is_found_by_the_end_of_the_name(tmp_path) -> None:
    from kptk.config import locate
    from kptk.plugins import Plugins

    for path in (zipped(tmp_path / "my.photos.zip"), tarred(tmp_path / "a.tar.gz"), tarred(tmp_path / "b.tgz")):
        assert locate(Plugins(), path)[0].id == "vision/image_archive"


def test_archives_in_a_folder_are_pieces_parts_or_classes(tmp_path) -> None:
    pieces, parts, classes = (tmp_path / name for name in ("pieces", "parts", "classes"))
    for folder in (pieces, parts, classes):
        folder.mkdir()
    zipped(pieces / "0.zip")
    tarred(pieces / "1.tar")
    source = image_folder(str(pieces))
    assert (len(source), source.class_names) == (8, ("cat", "dog"))
    assert source.labels.tolist() == [0, 0, 1, 1] * 2
    zipped(parts / "train.zip", prefix="train/")
    zipped(parts / "test.zip")
    source = image_folder(str(parts))
    assert (len(source), len(source.holdout()), source.class_names) == (4, 4, ("cat", "dog"))
    zipped(classes / "cats.zip", {"1.png": png(1), "2.png": png(2)})
    zipped(classes / "dogs.zip", {"1.png": png(3)})
    source = image_folder(str(classes))
    assert (source.class_names, source.labels.tolist()) == (("cats", "dogs"), [0, 0, 1])


def test_what_computers_add_is_no_image(tmp_path) -> None:
    path = zipped(tmp_path / "a.zip", CONTENT | {"__MACOSX/cat/._1.png": b"no", "cat/.hidden.png": b"no"})
    assert len(image_archive(path)) == 4


def linked(path: Path, target: str, *, kind: bytes = tarfile.SYMTYPE) -> str:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("cat/1.png")
        info.size = len(CONTENT["cat/1.png"])
        archive.addfile(info, io.BytesIO(CONTENT["cat/1.png"]))
        link = tarfile.TarInfo("cat/again.png")
        link.type, link.linkname = kind, target
        archive.addfile(link)
    return str(path)


def test_a_link_to_a_member_is_that_member(tmp_path) -> None:
    for path in (linked(tmp_path / "a.tar", "1.png"), linked(tmp_path / "b.tar", "cat/1.png", kind=tarfile.LNKTYPE)):
        source = image_archive(path)
        pixels = source.read(np.arange(2))
        np.testing.assert_array_equal(pixels[0], pixels[1])
        assert source.row_name(1) == "cat/again.png"


def zip_link(path: Path) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("cat/l.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../../secret.png")
    return str(path)


def changed(path: Path, place: int, value: int) -> str:
    data = bytearray(Path(zipped(path)).read_bytes())
    if place < 0:
        place = data.find(b"PK\x01\x02") - place
    data[place] = value
    path.write_bytes(data)
    return str(path)


def cut(path: Path, make, length: int) -> str:
    data = Path(make(path)).read_bytes()
    path.write_bytes(data[:length])
    return str(path)


def bomb(path: Path) -> str:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    return str(path)


def overlapping(path: Path) -> str:
    """A directory that names one large member a hundred times."""
    noise = np.random.default_rng(0).bytes(1 << 16)
    data = Path(zipped(path, {"x.png": noise}, method=zipfile.ZIP_STORED)).read_bytes()
    start, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    entry, tail = data[start:end] * 100, bytearray(data[end:])
    tail[8:10] = tail[10:12] = (100).to_bytes(2, "little")
    tail[12:16] = len(entry).to_bytes(4, "little")
    path.write_bytes(data[:start] + entry + tail)
    return str(path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda f: zipped(f / "a.zip", {"../../x.png": png(0)}), r"a\.zip: the member '\.\./\.\./x\.png' leads out"),
        (lambda f: zipped(f / "a.zip", {"/etc/x.png": png(0)}), r"the member '/etc/x\.png' leads out"),
        (lambda f: zipped(f / "a.zip", {"..\\x.png": png(0)}), "leads out"),
        (lambda f: zipped(f / "a.zip", CONTENT | {"../notes.txt": b"x"}), "leads out"),  # also one that is no image
        (lambda f: zip_link(f / "a.zip"), r"'cat/l\.png' is a link to \.\./\.\./secret\.png, outside"),
        (lambda f: tarred(f / "a.tar", {"a/../../x.png": png(0)}), r"a\.tar: the member .* leads out"),
        (lambda f: linked(f / "a.tar", "../../secret.png"), r"'cat/again\.png' is a link to .*, outside"),
        (lambda f: linked(f / "a.tar", "/etc/passwd", kind=tarfile.LNKTYPE), "is a link to /etc/passwd, outside"),
        (lambda f: cut(f / "a.zip", zipped, 500), r"a\.zip is not a whole zip archive"),
        (lambda f: cut(f / "a.tar", tarred, 1000), r"a\.tar is not a whole archive"),
        (lambda f: cut(f / "a.tgz", tarred, 700), r"a\.tgz is not a whole archive"),
        (lambda f: cut(f / "a.tar", zipped, 999), "is not a whole archive"),  # a zip that is called tar
        (lambda f: changed(f / "a.zip", -8, 1), r"'cat/1\.png' is encrypted"),
        (lambda f: changed(f / "a.zip", -10, 12), r"packed by method 12; read are stored and deflate"),
        (lambda f: changed(f / "a.zip", 60, 0xFF), r"a\.zip: cat/1\.png: the archive is damaged.*--on-bad-input skip"),
        (lambda f: zipped(f / "a.zip", {"x.bmp": bytes(300 << 20)}), "times as much.*decompression bomb"),
        (lambda f: bomb(f / "a.tar.gz"), "decompression bomb"),
        (lambda f: overlapping(f / "a.zip"), "its members overlap"),
        (lambda f: zipped(f / "a.zip", {"notes.txt": b"no"}), r"no images in .*a\.zip"),
    ],
)
def test_bad_archives_are_refused(make, sentence, tmp_path) -> None:
    with pytest.raises(InputError, match=sentence):
        image_archive(make(tmp_path))


def test_a_damaged_member_can_be_left_out(tmp_path) -> None:
    source = image_archive(changed(tmp_path / "a.zip", 60, 0xFF), on_bad_input="skip")
    assert len(source) == 3
    assert source.skipped[0].path.endswith("a.zip: cat/1.png")
