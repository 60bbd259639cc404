"""Images listed in a table: each sentence names row and path, and every command reads them like the run did."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kptk.cli.main import cli
from kptk.config import locate, resolve
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk_vision.image_table import image_table


@pytest.fixture(scope="module")
def album(tmp_path_factory) -> Path:
    """Bright owls and dark bats, with a table of 60; the last twelve are for tests."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "files").mkdir()
    rng = np.random.default_rng(0)
    lines = ["picture,animal,part"]
    for row in range(60):
        name = ("owl", "bat")[row % 2]
        pixels = rng.integers(0, 90, (8, 8, 1)) + (160 if name == "owl" else 0)
        Image.fromarray(pixels.astype("uint8").squeeze()).save(folder / "files" / f"{row:02}.png")
        lines.append(f"files/{row:02}.png,{name},{'test' if row >= 48 else 'train'}")
    (folder / "pictures.csv").write_text("\n".join(lines) + "\n")
    return folder


def table(folder: Path, text: str | bytes, name: str = "bad.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_rows_labels_and_parts_are_the_tables(album) -> None:
    source = image_table(str(album / "pictures.csv"), image="picture", label="animal", split="part")
    assert (len(source), len(source.holdout()), source.class_names) == (48, 12, ("bat", "owl"))
    assert source.labels.tolist() == [1, 0] * 24
    wanted = np.asarray(Image.open(album / "files/03.png"))
    np.testing.assert_array_equal(source.read(np.array([3]))[0, ..., 0], wanted)
    assert source.row_name(3) == "files/03.png"


@pytest.mark.parametrize("ending", [".tsv", ".jsonl", ".parquet", ".csv.gz"])
def test_every_form_of_table_is_read(ending, album) -> None:
    import gzip

    import pyarrow as pa
    from pyarrow import parquet

    rows = list(csv.DictReader((album / "pictures.csv").read_text().splitlines()))[:6]
    path = album / f"few{ending}"
    if ending == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        mark = "\t" if ending == ".tsv" else ";"
        text = "\n".join([mark.join(rows[0]), *(mark.join(row.values()) for row in rows)])
        path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    source = image_table(str(path), image="picture", label="animal")
    assert source.labels.tolist() == [1, 0, 1, 0, 1, 0]


def test_paths_begin_at_the_root_and_numbers_are_targets(album) -> None:
    path = table(album, "file,weight\n00.png,1.5\n01.png,2.5\n02.png,\n")
    source = image_table(path, label="weight", root="files")
    assert source.labels is None
    np.testing.assert_array_equal(source.targets, [1.5, 2.5, np.nan])
    source = image_table(table(album, "file,stars\n00.png,10\n01.png,9\n02.png,\n"), label="stars", root="files")
    assert source.class_names == ("9", "10")
    assert source.labels.tolist() == [1, 0, -1]
    with pytest.raises(InputError, match=r"no folder .*nowhere"):
        image_table(path, root="nowhere")


GOOD = "picture,animal\nfiles/00.png,owl\nfiles/01.png,bat\n"


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        (GOOD + "files/no.png,owl\n", {}, r"bad\.csv, row 3: .*files/no\.png: No such file.*1 of 3 files"),
        (GOOD + "pictures.csv,owl\n", {}, r"row 3: .*pictures\.csv: not an image"),
        (GOOD + ",owl\n", {}, "row 3: column 'picture' is empty"),
        (GOOD + "files/02.png\n", {}, "row 3: 1 cells where the header has 2"),
        (GOOD + "http://x.org/a.png,owl\n", {}, "row 3: http://x.org/a.png is an address"),
        (GOOD.encode() + b"files/\xe9.png,owl\n", {}, "row 3: holds the byte 0xe9"),
        (GOOD + '"files/02.png,owl\n', {}, "near row 3: .*Is a quote missing"),
        (GOOD, {"image": "pictur"}, "no column 'pictur' .*Did you mean 'picture'"),
        (GOOD, {"label": "species"}, r"no column 'species' \(-o data\.label=\)"),
        (GOOD, {"split": "animal"}, "must hold train, validation or test. Received: 'owl'"),
        (GOOD.replace("bat", "owl"), {"label": "animal"}, "is 'owl' in every row"),
        (GOOD.replace("picture", "pic"), {"image": ""}, r"-o data\.image=COLUMN\. Its columns: pic, animal"),
        ("picture,picture\na,b\n", {}, "columns 1 and 2 are both called 'picture'"),
        ("picture,animal\n", {}, "no rows that can be read"),
        ("", {}, "no header row"),
        (b"\x89PNG\0\0\n", {}, "not a text file"),
    ],
)
def test_bad_tables_are_refused_with_row_and_path(text, options, sentence, album) -> None:
    with pytest.raises(InputError, match=sentence):
        image_table(table(album, text), **({"image": "picture"} | options))


def test_bad_rows_are_left_out_counted_and_listed(album) -> None:
    text = GOOD + "files/no.png,owl\n,owl\nfiles/02.png\nfiles/03.png,bat\n"
    source = image_table(table(album, text), image="picture", label="animal", on_bad_input="skip")
    assert len(source) == 3
    assert [Path(bad.path).name.partition(":")[0] for bad in source.skipped] == [
        "bad.csv, row 4",
        "bad.csv, row 5",
        "no.png",
    ]
    assert "row 3" in source.skipped[2].path
    assert source.labels.tolist() == [1, 0, 0]
    assert "3 left out" in source.describe()


def test_a_csv_is_images_only_where_its_column_is_named(album) -> None:
    plugins, path = Plugins(), str(album / "pictures.csv")
    assert locate(plugins, path, given=["image"])[0].id == "vision/image_table"
    assert locate(plugins, path, given=["label"], inputs="table")[0].id == "tables/table_file"

    def config(*settings: str):
        return resolve(
            plugins,
            Request(recipe="contrastive", data=path, settings=tuple(Setting(key, "picture") for key in settings)),
        )

    assert config("data.image").data.id == "vision/image_table"
    assert config("data.image").recipe == "contrastive/contrastive"
    assert config().data.id == "tables/table_file"


def kptk(*words: str):
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    return done


def test_every_command_reads_the_pictures_like_the_run(album, tmp_path) -> None:
    data = str(album / "pictures.csv")
    named = ["-o", "data.image=picture", "-o", "data.label=animal", "-o", "data.split=part"]
    small = ["--epochs", "1", "--batch-size", "16", "--backbone", "example_cnn", "-o", "backbone.units=16"]
    run, tuned = str(tmp_path / "run"), str(tmp_path / "tuned")
    kptk("train", "--plugin", "contrastive", "--data", data, *named, *small, "--out", run)
    judged = json.loads(kptk("evaluate", run, "--data", data, "--protocols", "linear", "--k", "3", "--json").stdout)
    assert {result["test"] for result in judged["results"]} == {12}
    kptk("finetune", run, "--task", "classification", "--data", data, "--epochs", "8", "--out", tuned)
    scored = json.loads(kptk("evaluate", tuned, "--data", data, "--split", "test", "--json").stdout)
    assert scored["results"][0]["rows"] == 12
    new = table(album, "animal,picture\nbat,files/01.png\n,files/00.png\n", "new.csv")
    kptk("predict", tuned, "--data", new, "-o", str(tmp_path / "out.csv"))
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["files/01.png", "files/00.png"]
    assert [row["prediction"] for row in rows] == ["bat", "owl"]
    os.rename(run, f"{run}-gone")  # a fine-tuned model needs its origin no more
    kptk("predict", tuned, "--data", data, "--split", "test", "--limit", "5", "-o", str(tmp_path / "five.csv"))
    five = [row["name"] for row in csv.DictReader((tmp_path / "five.csv").read_text().splitlines())]
    assert len(five) == 5
    assert all(name >= "files/48.png" for name in five)
