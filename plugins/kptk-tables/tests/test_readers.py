"""Readers of tables: what is found out about columns, what is refused, and with which sentence."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kptk_tables.chunks
from kptk.errors import InputError, KptkError, UsageError
from kptk_tables.inference import NUMBERS
from kptk_tables.quick_numbers import QuickNumbers, any_padded
from kptk_tables.table_file import table_file

GOOD = "age,job,joined,member,zip\n39,clerk,2020-01-31,yes,01234\n50,,2021-02-01 12:30,no,98765\n28,smith,,yes,01234\n"


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rows(source) -> list:
    return source.read(np.arange(len(source))).tolist()


def kinds(source) -> dict:
    return {column.name: column.kind for column in source.columns}


def test_kinds_are_found_and_cells_typed(tmp_path: Path) -> None:
    source = table_file(write(tmp_path, GOOD))
    assert kinds(source) == {"age": "number", "job": "category", "joined": "date", "member": "flag", "zip": "category"}
    assert rows(source) == [
        [39.0, "clerk", datetime(2020, 1, 31), 1.0, "01234"],
        [50.0, None, datetime(2021, 2, 1, 12, 30), 0.0, "98765"],
        [28.0, "smith", None, 1.0, "01234"],
    ]
    assert "age:number job:category joined:date member:flag zip:category" in source.describe()


def test_kinds_can_be_said(tmp_path: Path) -> None:
    source = table_file(write(tmp_path, GOOD), types="age:category,job:text", drop="zip, member")
    assert kinds(source) == {"age": "category", "job": "text", "joined": "date"}
    assert rows(source)[0][:2] == ["39", "clerk"]
    with pytest.raises(UsageError, match="`types` must be like age:number"):
        table_file(write(tmp_path, GOOD), types="age:float")
    with pytest.raises(UsageError, match=r"`drop` must name columns.*Did you mean 'job'"):
        table_file(write(tmp_path, GOOD), drop="jobb")


@pytest.mark.parametrize("packed", ["", ".gz", ".xz"])
def test_every_form_gives_the_same_rows(tmp_path: Path, packed: str) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packed]
    plain = rows(table_file(write(tmp_path, GOOD)))
    assert rows(table_file(write(tmp_path, pack(GOOD.encode()), f"a.csv{packed}"))) == plain
    assert rows(table_file(write(tmp_path, pack(GOOD.replace(",", "\t").encode()), f"b.tsv{packed}"))) == plain
    assert rows(table_file(write(tmp_path, pack(GOOD.replace(",", ";").encode()), f"c.csv{packed}"))) == plain
    names, *lines = [line.split(",") for line in GOOD.splitlines()]
    items = [{n: (float(c) if n == "age" else c or None) for n, c in zip(names, line, strict=True)} for line in lines]
    text = "\n".join(map(json.dumps, items))
    assert rows(table_file(write(tmp_path, pack(text.encode()), f"d.jsonl{packed}"))) == plain


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {
            "n": pa.array([1, 2, None], pa.int32()),
            "f": pa.array([True, False, None]),
            "d": pa.array([datetime(2020, 1, 1), None, datetime(2021, 5, 6, 7)], pa.timestamp("ms")),
            "c": pa.array(["a", "b", "a"]).dictionary_encode(),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    source = table_file(str(tmp_path / "t.parquet"))
    assert kinds(source) == {"n": "number", "f": "flag", "d": "date", "c": "category"}
    got = rows(source)
    assert got[0] == [1.0, 1.0, datetime(2020, 1, 1), "a"]
    assert np.isnan(got[2][0])
    assert np.isnan(got[2][1])
    assert got[1][2] is None


def test_rows_are_read_by_number(tmp_path: Path) -> None:
    text = "a,b,t\n" + "".join(f"{i},{'xyz'[i % 3]},{'word ' * (i % 50 + 13)}{i}\n" for i in range(30_000))
    source = table_file(write(tmp_path, text))
    assert kinds(source) == {"a": "number", "b": "category", "t": "text"}
    order = np.random.default_rng(0).permutation(30_000)[:500]
    got = source.read(order)
    assert got[:, 0].tolist() == order.astype(float).tolist()
    assert got[:, 1].tolist() == ["xyz"[i % 3] for i in order]
    assert got[:, 2].tolist() == ["word " * (i % 50 + 13) + str(i) for i in order]
    assert source.read(np.arange(100, 200)).tolist() == [
        source.read(np.array([i]))[0].tolist() for i in range(100, 200)
    ]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    source = table_file(write(tmp_path, GOOD))
    assert not list((tmp_path / "scratch").iterdir())  # a file without a name, even while it is used
    assert rows(source)
    with pytest.raises(InputError):
        table_file(write(tmp_path, GOOD + "1,2\n"))
    gc.collect()
    assert not list((tmp_path / "scratch").iterdir())


BAD = [
    ("ragged", "a,b\n1,2\n3,4,5\n6,7\n", r"row 2: 3 cells where the header has 2 \(3,4,5\)", [2]),
    ("short", "a,b\n1,2\n3\n", "row 2: 1 cells where the header has 2", [2]),
    (
        "infinite",
        "a,b\n1,2\ninf,3\n" + "4,5\n" * 20,
        r"row 2: column 'a' must be a finite number. Received: 'inf'",
        [2],
    ),
    ("too large", "a\n" + "1\n" * 20 + "1e999\n", r"row 21: .*finite number. Received: '1e999'", [21]),
    ("no number", "a\n" + "1\n" * 20 + "many\n", r"row 21: column 'a' must be a finite number. Received: 'many'", [21]),
    ("no date", "a\n" + "2020-01-01\n" * 20 + "2020-02-30\n", r"row 21: column 'a' must be a date", [21]),
    (
        "bytes",
        b"a,b\n1,caf\xc3\xa9\n2,caf\xe9\n3,x\n",
        r"row 2: column 'b' holds the byte 0xe9, which is no UTF-8",
        [2],
    ),
]


@pytest.mark.parametrize(("text", "message", "bad"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_rows_are_refused_or_left_out_and_listed(tmp_path: Path, text, message: str, bad: list[int]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        table_file(path)
    assert path in str(error.value)
    assert "--on-bad-input skip" in str(error.value)
    source = table_file(path, on_bad_input="skip")
    assert [item.path for item in source.skipped] == [f"{path}, row {row}" for row in bad]
    lines = text.count(b"\n" if isinstance(text, bytes) else "\n") - 1
    assert len(source) == lines - len(bad)
    assert f"{len(bad)} rows left out" in source.describe()


def test_row_numbers_count_what_was_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n3,4,5\n6,7\n" + "8,9\n" * 20 + "many,1\n")
    source = table_file(path, on_bad_input="skip")
    assert [item.path.rpartition(" ")[2] for item in source.skipped] == ["2", "24"]


REFUSED = [
    ("twice", "a,b,a\n1,2,3\n", {}, "columns 1 and 3 are both called 'a'"),
    ("delimiter", "a;b\n1;2\n", {"delimiter": ","}, "Say another delimiter: -o data.delimiter=semicolon"),
    ("thousands", 'a\n"1,234"\n"5,678"\n', {}, r"row 1, column 'a': '1,234' is a number written as text"),
    ("currency", "a,b\n$12.50,1\n$3,2\n", {}, r"row 1, column 'a': '\$12.50' is a number written as text"),
    ("dates", "a,b\n,1\n31.12.2020,1\n01.02.2021,2\n", {}, r"row 2, column 'a': '31\.12\.2020' is a date of which day"),
    (
        "US dates",
        "a\n2/3/20\n4/5/2021\n",
        {},
        "Write it as 2026-11-30, or take it for a name: -o data.types=a:category",
    ),
    ("comma", "a;b\n1,5;1\n2,5;2\n", {}, "data.decimal=comma"),
    ("one label", "a,y\n1,no\n2,no\n", {"label": "y"}, "label column 'y' is 'no' in all 2 rows"),
    ("no label", "a,y\n1,\n2,\n", {"label": "y"}, "every cell of the label column 'y' is missing"),
    ("no column", "a,y\n1,2\n", {"label": "z"}, "`label` must name columns"),
    ("empty", "", {}, "begins with an empty line"),
    ("header only", "a,b\n", {}, "no rows"),
    ("binary", b"a\x00b\n\x00\n", {}, "not a text file"),
    ("split", "a,s\n1,north\n2,south\n", {"split": "s"}, "must hold train and test .*Received: 'north'"),
    ("one part", "a,s\n1,train\n2,train\n", {"split": "s"}, "all rows of the column 's' are of one part"),
    ("encoding", "a\nx\n", {"encoding": "klingon"}, "no encoding called 'klingon'"),
    ("all bad", "a,b\n1\n2\n", {"on_bad_input": "skip"}, "no rows that can be read"),
]


@pytest.mark.parametrize(("text", "options", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, text, options: dict, message: str) -> None:
    with pytest.raises(KptkError, match=message) as error:
        table_file(write(tmp_path, text), **options)
    assert error.value.exit_code == 2


def test_many_different_names_are_a_text_and_no_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "id,x\n" + "".join(f"user-{i},1\n" for i in range(12_000)))
    source = table_file(path)
    assert source.columns[0].kind == "text"
    assert "more than 10,000 different values" in source.columns[0].note
    with pytest.raises(InputError, match="'id' has more than 10,000 different values in 12,000 rows"):
        table_file(path, label="id")
    with pytest.raises(InputError, match="too many for categories"):
        table_file(path, types="id:category")


def test_a_truncated_file_is_said_to_be_so(tmp_path: Path) -> None:
    whole = lzma.compress(("a,b\n" + "1,2\n" * 10_000).encode())
    with pytest.raises(InputError, match=r"not a whole \.xz file"):
        table_file(write(tmp_path, whole[: len(whole) // 2], "t.csv.xz"))


def test_labels_keep_their_names_and_may_be_missing(tmp_path: Path) -> None:
    source = table_file(write(tmp_path, "a,y\n1,yes\n2,\n3,no\n4,yes\n"), label="y")
    assert source.class_names == ("no", "yes")
    assert source.labels.tolist() == [1, -1, 0, 1]
    assert kinds(source) == {"a": "number"}


def test_rows_to_predict_for_may_have_one_label_or_none(tmp_path: Path) -> None:
    one = table_file(write(tmp_path, "a,y\n1,no\n2,no\n"), label="y", absent="ignore")
    assert (one.class_names, one.labels.tolist()) == (("no",), [0, 0])
    none = table_file(write(tmp_path, "a,y\n1,\n2,\n"), label="y", absent="ignore")
    assert none.labels is None
    assert kinds(none) == {"a": "number"}


def test_numbers_as_labels_are_targets_and_few_are_classes_too(tmp_path: Path) -> None:
    grades = table_file(write(tmp_path, "a,y\n1,10\n2,9\n3,10\n"), label="y")
    assert grades.class_names == ("9", "10")
    assert grades.labels.tolist() == [1, 0, 1]
    assert grades.targets.tolist() == [10, 9, 10]
    prices = table_file(write(tmp_path, "a,y\n1,10.5\n2,9.25\n3,10\n"), label="y")
    assert prices.labels is None
    assert prices.targets.tolist() == [10.5, 9.25, 10.0]


@pytest.mark.parametrize("count", [30, 12_000])
def test_a_label_among_numbers_that_is_none_is_refused(tmp_path: Path, count: int) -> None:
    text = "a,y\n" + "".join(f"{row},{row}.5\n" for row in range(count))
    source = table_file(write(tmp_path, text + "1,\n"), label="y")
    assert source.targets[:2].tolist() == [0.5, 1.5]
    assert np.isnan(source.targets[-1])
    with pytest.raises(InputError, match="label column 'y' holds numbers and 'many', which is none"):
        table_file(write(tmp_path, text + "1,many\n"), label="y")


def test_a_column_divides_train_and_test(tmp_path: Path) -> None:
    source = table_file(
        write(tmp_path, "a,s,y\n1,train,p\n2,test,q\n3,Train,q\n4,validation,p\n"), split="s", label="y"
    )
    assert [row[0] for row in rows(source)] == [1, 3, 4]
    assert [row[0] for row in rows(source.holdout())] == [2]
    assert source.holdout().labels.tolist() == [1]
    assert source.holdout().holdout() is None
    assert kinds(source) == kinds(source.holdout()) == {"a": "number"}


def test_decimal_commas_and_other_encodings_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "größe;wert\nklein;1,5\ngroß;2,25\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not utf-8 text.*data\.encoding=latin-1"):
        table_file(path)
    source = table_file(path, encoding="latin-1", decimal="comma")
    assert rows(source) == [["klein", 1.5], ["groß", 2.25]]


def test_quoted_newlines_and_a_byte_order_mark(tmp_path: Path) -> None:
    source = table_file(write(tmp_path, b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n2,"z, z"\r\n'), types="b:text")
    assert kinds(source)["a"] == "number"
    assert [row[1] for row in rows(source)] == ["x\r\ny", "z, z"]


def test_json_lines_say_the_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2: not a line of JSON"):
        table_file(write(tmp_path, '{"a": 1}\n{"a": \n', "t.jsonl"))
    with pytest.raises(InputError, match="row 2: has the key 'b', which the first row does not have"):
        table_file(write(tmp_path, '{"a": 1}\n{"b": 1}\n', "t.jsonl"))
    with pytest.raises(InputError, match="row 1: 'a' holds a list or an object"):
        table_file(write(tmp_path, '{"a": [1]}\n', "t.jsonl"))


def test_the_fingerprint_follows_content_and_meaning(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    first = table_file(path).fingerprint()
    assert table_file(path).fingerprint() == first
    assert table_file(path, types="age:category").fingerprint() != first
    assert table_file(write(tmp_path, GOOD.replace("39", "40"))).fingerprint() != first


SURPRISES = {  # what the first piece of a table tells of a column, and what the whole is
    "number": (["1", "2.5", "-3"], ["4", "x5", "6e2"], "category"),
    "late": (["1", "0", "1"], ["1", "", "0"], "flag"),
    "count": (["1", "0", "1"], ["1", "2", "0"], "number"),
    "gap": (["1", "2", "3"], ["NA", " 5 ", "+6"], "number"),
    "code": (["1", "2", "3"], ["4", "05", "6"], "category"),
    "day": (["2020-01-01", "2020-01-02", "2020-01-01"], ["", "2021-05-06", "2020-01-01"], "date"),
    "names": (["a", "b", "a"], ["c ", "?", "b"], "category"),
    "answer": (["yes", "no", "no"], ["no", "yes", ""], "flag"),
    "maybe": (["yes", "no", "no"], ["no", "perhaps", ""], "category"),
    "empty": (["", "", ""], ["1", "2", ""], "number"),
}


@pytest.mark.parametrize("times", [1, 40])
def test_a_table_is_the_same_in_one_piece_and_in_many(tmp_path: Path, monkeypatch, times) -> None:
    lines = [",".join([*SURPRISES, "y"])]
    for part in (0, 1):
        columns = [[*SURPRISES[name][part]] * times for name in SURPRISES]
        labels = [f"{part}{row % 2}" for row in range(3 * times)]
        lines += [",".join(row) for row in zip(*columns, labels, strict=True)]
    path = write(tmp_path, "\n".join(lines) + "\n")
    whole = table_file(path, label="y")
    assert kinds(whole) == {name: kind for name, (_, _, kind) in SURPRISES.items()}
    monkeypatch.setattr(kptk_tables.chunks, "BLOCK", 128)
    pieces = table_file(path, label="y")
    assert pieces.describe() == whole.describe()
    assert repr(rows(pieces)) == repr(rows(whole))  # by text: NaN is not itself
    assert pieces.class_names == whole.class_names == ("00", "01", "10", "11")
    assert pieces.labels.tolist() == whole.labels.tolist()
    assert [row[1] for row in rows(whole)][:3] == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("kind", ["number", "date"])
def test_a_bad_cell_after_the_first_piece_is_named(tmp_path: Path, monkeypatch, kind) -> None:
    monkeypatch.setattr(kptk_tables.chunks, "BLOCK", 64)
    cells = [f"{row}.5" if kind == "number" else f"2020-01-{row % 28 + 1:02}" for row in range(100)]
    cells[70] = "oops"
    path = write(tmp_path, "\n".join(["a,b", *(f"{cell},{row}" for row, cell in enumerate(cells))]))
    with pytest.raises(InputError, match=r"row 71: column 'a' must be .* Received: 'oops'"):
        table_file(path)
    source = table_file(path, on_bad_input="skip", label="b")
    assert len(source) == 99 and [bad.path for bad in source.skipped] == [f"{path}, row 71"]
    assert source.targets.tolist() == [row for row in range(100) if row != 70]


def test_numbers_read_by_the_block_are_those_read_one_by_one() -> None:
    texts = [
        "1",
        "1.",
        ".5",
        "-.5",
        "+1",
        "1e5",
        "1.E-3",
        "1e",
        "1e999",
        ".",
        "+",
        "-",
        "+-1",
        "-+1",
        "++1",
        "1_0",
        "1,5",
        "0x1f",
        "nan",
        "inf",
        "-inf",
        "infinity",
        "1f",
        "00012",
        "1e5.0",
        "5e-324",
        "٣",
    ]
    for text in [*texts, " 1", "1 ", "1 000", ""]:
        found = QuickNumbers(pa.array(["?"]), ".")(pa.array(["7", text]))
        plain = re.fullmatch(NUMBERS, text.strip(), re.ASCII) is not None and np.isfinite(float(text))
        assert (found is not None) == plain, text
        assert found is None or found.tolist() == [7.0, float(text)]


def test_leading_zeros_are_found_in_any_piece() -> None:
    for cells, wanted in (
        (["0", "10", "0.5", "-0.5", "00.5"], False),
        (["1", "-01"], True),
        (["+00"], True),
        (["7", None, "05"], True),
        ([None], False),
        ([], False),
    ):
        array = pa.array(["099", *cells, "0"], pa.string())
        assert any_padded(array.slice(1, len(cells))) == wanted, cells


def test_a_number_may_mean_missing(tmp_path: Path) -> None:
    source = table_file(write(tmp_path, "a,b\n-999,1\n2,2\n3.5,-999\n"), missing="-999")
    assert repr(rows(source)) == "[[nan, 1.0], [2.0, 2.0], [3.5, nan]]"


def test_bytes_of_parquet_are_texts_and_times_are_refused(tmp_path: Path) -> None:
    from pyarrow import parquet

    def saved(cells) -> str:
        parquet.write_table(pa.table({"a": cells, "b": [1, 2, 3]}), tmp_path / "t.parquet")
        return str(tmp_path / "t.parquet")

    for kind in (pa.binary(), pa.large_binary(), pa.large_string()):
        source = table_file(saved(pa.array([b"x", b"y", b"x"]).cast(kind)))
        assert kinds(source) == {"a": "category", "b": "number"} and rows(source)[1] == ["y", 2.0]
    with pytest.raises(InputError, match=r"row 2: column 'a' holds the byte 0xff, which is no UTF-8"):
        table_file(saved(pa.array([b"x", b"\xff", b"x"])))
    for kind in (pa.time64("us"), pa.duration("s")):
        with pytest.raises(InputError, match=r"column 'a' holds times without a day .*Write them as numbers"):
            table_file(saved(pa.array([1, 2, 3], pa.int64()).cast(kind)))


def test_json_lines_in_another_encoding(tmp_path: Path) -> None:
    text = '{"a": "café"}\n\n{"a": "tea"}\n{"a": "café"}\n'
    path = write(tmp_path, text.encode("latin-1"), "t.jsonl")
    with pytest.raises(InputError, match="row 1: holds the byte 0xe9, which is no UTF-8"):
        table_file(path)
    source = table_file(path, on_bad_input="skip")
    assert rows(source) == [["tea"]] and [bad.path for bad in source.skipped] == [f"{path}, row 1", f"{path}, row 4"]
    assert rows(table_file(path, encoding="latin-1")) == [["café"], ["tea"], ["café"]]
    assert rows(table_file(write(tmp_path, text.encode("utf-16"), "u.jsonl"), encoding="utf-16"))[0] == ["café"]
    with pytest.raises(InputError, match="no encoding called 'utf-9'"):
        table_file(path, encoding="utf-9")
