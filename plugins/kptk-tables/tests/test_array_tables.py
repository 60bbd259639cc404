"""Tables in NumPy and HDF5 files: the same rows as NumPy has, which reader takes them, and what is refused."""

from __future__ import annotations

import tracemalloc
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import kptk_tables.array_table
from kptk.cli.main import cli
from kptk.errors import InputError, UsageError
from kptk.locating import locate, stand_in
from kptk.plugins import Plugins
from kptk_tables.table_file import table_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = RNG.integers(0, 3, 60)
PEOPLE = np.zeros(60, [("age", "i2"), ("job", "U6"), ("since", "M8[M]"), ("member", "?")])
PEOPLE["age"], PEOPLE["job"], PEOPLE["member"] = 20 + np.arange(60), np.array(["clerk", "smith"])[Y % 2], Y > 1
PEOPLE["since"] = np.datetime64("2020-03") + Y


def cells(source) -> np.ndarray:
    return source.read(np.arange(len(source)))


def columns(source) -> str:
    return " ".join(map(str, source.columns))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_with_labels(tmp_path: Path, monkeypatch, save, order) -> None:
    monkeypatch.setattr(kptk_tables.array_table, "ROWS", 7)  # several pieces, the last one shorter
    save(tmp_path / "t.npz", x=np.asarray(X, order=order), y=np.array(["a", "b", "c"])[Y])
    source = table_file(str(tmp_path / "t.npz"))
    assert columns(source) == "x0:number x1:number x2:number x3:number"
    np.testing.assert_array_equal(cells(source).astype("float32"), X)
    np.testing.assert_array_equal(source.labels, Y)
    assert source.class_names == ("a", "b", "c")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16", "int64", "uint8", "bool"])
def test_a_matrix_without_a_name(tmp_path: Path, monkeypatch, order, dtype) -> None:
    monkeypatch.setattr(kptk_tables.array_table, "ROWS", 11)
    wanted = np.asarray(np.abs(10 * X).astype(dtype), order=order)
    np.save(tmp_path / "t.npy", wanted)
    np.testing.assert_array_equal(
        cells(table_file(str(tmp_path / "t.npy"))).astype("float64"), wanted.astype("float64")
    )


def test_options_of_tables_work(tmp_path: Path) -> None:
    names = ["age", "height", "zip", "part"]
    part = np.where(np.arange(60) < 45, "train", "test")
    np.savez(tmp_path / "t.npz", x=X, y=Y, feature_names=names, where=part, class_names=["ant", "bee", "cat"])
    source = table_file(str(tmp_path / "t.npz"), split="where", drop="zip", types="age:category")
    assert columns(source) == "age:category height:number part:number"
    assert (len(source), len(source.holdout())) == (45, 15)
    assert source.class_names == ("ant", "bee", "cat")  # the numbers of y stand for the names beside them
    np.testing.assert_array_equal(source.labels, Y[:45])
    other = table_file(str(tmp_path / "t.npz"), label="height", drop="where")
    np.testing.assert_array_equal(other.targets.astype("float32"), X[:, 1])
    assert "y:category" in columns(other)
    assert table_file(str(tmp_path / "t.npz"), label="-").labels is None
    assert table_file(str(tmp_path / "t.npz"), drop="y").labels is None
    with pytest.raises(UsageError, match=r"`label` must name columns of .*Did you mean 'height'"):
        table_file(str(tmp_path / "t.npz"), label="heigt")


def test_the_test_part_of_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x_train=X, y_train=Y, x_test=X[:9] + 1, y_test=Y[:9])
    source = table_file(str(tmp_path / "t.npz"))
    np.testing.assert_array_equal(cells(source).astype("float32"), X)
    np.testing.assert_array_equal(cells(source.holdout()).astype("float32"), X[:9] + 1)
    np.testing.assert_array_equal(source.holdout().labels, Y[:9])
    np.savez(tmp_path / "bare.npz", x_train=X, y_train=Y, x_test=X)
    with pytest.raises(InputError, match=r"has x_test without its labels. Beside y_train it needs y_test"):
        table_file(str(tmp_path / "bare.npz"))


def test_structured_arrays_and_arrays_of_columns_agree(tmp_path: Path) -> None:
    np.save(tmp_path / "fields.npy", PEOPLE)
    np.savez(tmp_path / "columns.npz", **{name: PEOPLE[name] for name in PEOPLE.dtype.names})
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file["elsewhere/other"] = np.arange(3)
        for name in PEOPLE.dtype.names:
            kept = PEOPLE[name].astype("S10") if name == "since" else PEOPLE[name].tolist()
            file[f"people/{name}"] = [f"{day}-01" for day in PEOPLE[name]] if name == "since" else kept
    for name, options in (("fields.npy", {}), ("columns.npz", {}), ("group.h5", {"table": "people"})):
        source = table_file(str(tmp_path / name), label="job", **options)
        kinds = "age:number since:date member:flag" if name != "group.h5" else "age:number member:flag since:date"
        assert columns(source) == kinds, name  # HDF5 lists by name
        row = dict(zip(kinds.split(), cells(source)[5], strict=True))
        since = PEOPLE["since"][5].astype("datetime64[D]").item()
        assert row == {
            "age:number": 25.0,
            "since:date": datetime(since.year, since.month, 1),
            "member:flag": float(Y[5] > 1),
        }
        np.testing.assert_array_equal(source.labels, Y % 2)


def test_data_sets_of_hdf5(tmp_path: Path) -> None:
    plain = PEOPLE[["age", "member"]].astype([("age", "i2"), ("member", "?")])
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("deep/x", data=X, chunks=(16, 2), compression="gzip")
        file["deep/labels"] = np.array([b"a", b"b", b"c"])[Y]
        file["deep/feature_names"] = ["p", "q", "r", "s"]
        file["people"] = plain
        file["scale"] = 3.0
    source = table_file(str(tmp_path / "t.h5"), table="deep/x")
    assert columns(source) == "p:number q:number r:number s:number"
    assert source.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(cells(source).astype("float32"), X)
    assert columns(table_file(str(tmp_path / "t.h5"), table="deep")) == columns(source)
    people = table_file(str(tmp_path / "t.h5"), table="people")
    assert columns(people) == "age:number member:flag"
    assert any("scale" in remark for remark in people.remarks)
    with pytest.raises(
        InputError, match=r"several tables. Say which: -o data.table=NAME. It holds: deep/feature_names"
    ):
        table_file(str(tmp_path / "t.h5"))
    with pytest.raises(InputError, match=r"no array or group 'peple'.*Did you mean 'people'"):
        table_file(str(tmp_path / "t.h5"), table="peple")


def test_what_kptk_embed_writes_is_a_table(tmp_path: Path) -> None:
    codes = np.where(Y == 2, -1, Y)
    named = np.array([f"file {row}.png" for row in range(60)])
    np.savez_compressed(tmp_path / "f.npz", features=X, names=named, labels=codes, class_names=np.array(["a", "b"]))
    source = table_file(str(tmp_path / "f.npz"))
    assert columns(source) == "x0:number x1:number x2:number x3:number names:text"
    np.testing.assert_array_equal(source.labels, codes)
    assert source.class_names == ("a", "b")


def test_nan_is_missing_and_infinity_is_bad(tmp_path: Path) -> None:
    x = X.astype("float64")
    x[3, 1], x[40, 2] = np.nan, -np.inf
    np.savez(tmp_path / "t.npz", x=x, y=Y)
    with pytest.raises(InputError, match=r"t\.npz, row 41: column 'x2' must be a finite number. Received: '-inf'"):
        table_file(str(tmp_path / "t.npz"))
    source = table_file(str(tmp_path / "t.npz"), on_bad_input="skip")
    assert len(source) == 59 and len(source.labels) == 59
    assert np.flatnonzero(np.isnan(cells(source).astype("f8"))).tolist() == [3 * 4 + 1]


REFUSED = {
    "lengths": ({"x": X, "y": Y[:50]}, "x has 60 rows and y has 50. Every column"),
    "columns": ({"a": Y, "b": Y[:7]}, "a has 60 rows and b has 7. Every column"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "x has no rows"),
    "objects": ({"x": np.array([[1, "a"]] * 4, dtype=object)}, "x holds pickled objects, which could run code"),
    "labels": ({"x": X, "y": np.array([None] * 60)}, "y holds pickled objects, which could run code"),
    "complex": ({"x": X * 1j}, "x must have one number, text or date a cell. Received: dtype complex64"),
    "nested": ({"x": np.zeros(4, [("a", "f4", (3,))])}, "x.a must have one number, text or date a cell"),
    "cube": ({"x": np.zeros((4, 8, 8))}, r"holds no table: .* It holds: x \(4 x 8 x 8\)"),
    "five": ({"x": np.zeros((2, 3, 4, 5, 6))}, r"holds no table: .* It holds: x \(2 x 3 x 4 x 5 x 6\)"),
    "onehot": ({"x": X, "y": np.eye(3)[Y]}, r"y must have one label for each row .*shape \(60, 3\).*argmax"),
    "masks": ({"x": X, "y": np.zeros((60, 2, 2))}, r"y must have one label for each row .*shape \(60, 2, 2\)"),
    "one": ({"x": X, "y": np.array(3)}, r"y must have one label for each row .*shape \(\)"),
    "narrow": ({"x": X[:, :0], "y": Y}, "no column is left"),
    "names": ({"x": X, "feature_names": ["a", "b"]}, "feature_names must name the 4 columns of x. Received: 2 names"),
    "twice": ({"x": X, "feature_names": list("abca")}, "columns 1 and 4 are both called 'a'"),
    "alike": ({"x": X, "y": np.ones(60)}, "the label column 'y' is '1' in all 60 rows"),
    "class": ({"x": X, "y": Y, "class_names": ["a", "b"]}, rf"row {np.argmax(Y == 2) + 1}: y must be below 2"),
    "nothing": ({}, "It holds: nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused(tmp_path: Path, case) -> None:
    arrays, message = REFUSED[case]
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(InputError, match=message):
        table_file(str(tmp_path / "t.npz"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=RNG.normal(size=(4000, 4)))
    whole = (tmp_path / "t.npz").read_bytes()
    np.save(tmp_path / "t.npy", X)
    (tmp_path / "short.npy").write_bytes((tmp_path / "t.npy").read_bytes()[:-5])
    (tmp_path / "bits.npz").write_bytes(whole[:90_000] + bytes([whole[90_000] ^ 255]) + whole[90_001:])
    (tmp_path / "cut.npz").write_bytes(whole[:-30])
    (tmp_path / "text.npz").write_text("a,b")
    (tmp_path / "text.h5").write_text("a,b")
    for name, message in {
        "short.npy": "damaged or cut off .it ends before its last row",
        "bits.npz": "damaged or cut off .*CRC",
        "cut.npz": "is damaged: File is not a zip file",
        "text.npz": "is not a NumPy file",
        "text.h5": "is not a whole HDF5 file",
    }.items():
        with pytest.raises(InputError, match=message):
            table_file(str(tmp_path / name))


def test_content_of_other_files_is_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = X
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "x")
    layout = h5py.VirtualLayout(X.shape, X.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", shape=X.shape)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    with pytest.raises(InputError, match="It holds: nothing"):
        table_file(str(tmp_path / "linked.h5"))
    with pytest.raises(InputError, match="x takes its content from other files, which is not read"):
        table_file(str(tmp_path / "virtual.h5"))


def test_readers_do_not_fight_over_a_suffix(tmp_path: Path) -> None:
    plugins = Plugins()
    np.savez(tmp_path / "table.npz", x=X, y=Y)
    np.savez(tmp_path / "images.npz", x=np.zeros((4, 8, 8), "uint8"), y=np.arange(4))
    np.savez(tmp_path / "neither.npz", x=np.zeros((2, 3, 4, 5, 6)))
    np.save(tmp_path / "table.npy", X)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"], file["labels"] = np.zeros((4, 8, 8), "uint8"), np.arange(4)
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["faces"], file["people"] = np.zeros((4, 8, 8), "uint8"), X

    def found(name: str, *words: str, **options) -> str:
        return locate(plugins, str(tmp_path / name), *words, **options)[0].id

    assert [found(name) for name in ("table.npz", "table.npy")] == ["tables/table_file"] * 2
    assert [found(name) for name in ("images.npz", "images.h5")] == ["vision/image_array", "vision/image_hdf5"]
    assert found("both.h5", "image") == "vision/image_hdf5" and found("both.h5", "table") == "tables/table_file"
    assert (
        found("both.h5", given=["table"]) == "tables/table_file"
        and found("both.h5", given=["y"]) == "vision/image_hdf5"
    )
    recipe = plugins.recipe("contrastive")
    assert stand_in(plugins, recipe, str(tmp_path / "table.npz")).id == "tables/contrastive_tables"
    assert stand_in(plugins, recipe, str(tmp_path / "images.npz")).id == recipe.id
    with pytest.raises(UsageError, match=r"can be read in 2 ways, .*\n  .*: .*\n  .*: .*\nSay which by an option"):
        found("both.h5")
    with pytest.raises(InputError, match=r"Received: \(60, 4\)\. It can be read as table \(tables/table_file\)"):
        found("table.npz", "image")
    with pytest.raises(InputError, match=r"holds no table.*It can be read as image \(vision/image_array\)"):
        found("images.npz", "table")
    with pytest.raises(
        InputError, match=r"holds no table.*must have the shape \(count, height, width\)|must have .*no table"
    ):
        found("neither.npz")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        np.savez(tmp_path / f"{rows}.npz", x=np.asfortranarray(RNG.normal(size=(rows, 30)).astype("float32")))
        tracemalloc.start()
        table_file(str(tmp_path / f"{rows}.npz"))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(60_000) < 1.2 * peak(20_000) < 30_000_000


def test_the_commands_take_such_tables(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("table.npz", x=X, y=np.array(["no", "yes", "no"])[Y])
    np.savez("images.npz", x=np.zeros((40, 8, 8), "uint8"), y=np.arange(40) % 2)
    done = CliRunner().invoke(cli, ["data", "check", "table.npz"])
    assert done.exit_code == 0 and "60 rows of 4 columns, 2 classes of y" in done.output
    done = CliRunner().invoke(cli, ["data", "check", "table.npz", "-o", "label=x3", "-o", "drop=y"])
    assert done.exit_code == 0 and "60 rows of 3 columns, x3 to predict" in done.output
    done = CliRunner().invoke(cli, ["data", "check", "images.npz"])
    assert "40 rows of 8 x 8 x 1" in done.output
    done = CliRunner().invoke(cli, ["train", "--plugin", "scarf", "--data", "images.npz", "--out", "run"])
    assert done.exit_code == 2 and "images.npz holds no table" in done.output
    assert not Path("run").exists()
