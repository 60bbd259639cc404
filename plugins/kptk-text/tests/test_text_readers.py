"""Readers of text: what they read, what they count, and the sentence for everything that they refuse."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kptk
from kptk.errors import InputError, RunError
from kptk_text.bible import bible
from kptk_text.home_intents import home_intents
from kptk_text.movie_snippets import movie_snippets
from kptk_text.text_file import text_file
from kptk_text.text_folder import text_folder
from kptk_text.text_table import text_table
from kptk_text.wiki_mini import wiki_mini

LINES = "Roses are red,\n\nViolets are blü.\r\n  \n  Sugar is sweet \nRoses are red,\nlast line without end"
WANTED = ["Roses are red,", "Violets are blü.", "Sugar is sweet", "Roses are red,", "last line without end"]


def texts(source) -> list[str]:
    return source.read(np.arange(len(source))).tolist()


def write(path: Path, content: str | bytes) -> str:
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    packers = {".gz": gzip.compress, ".xz": lzma.compress}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packers.get(path.suffix, bytes)(data))
    return str(path)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.xz"])
def test_a_document_a_line(tmp_path, name) -> None:
    source = text_file(write(tmp_path / name, LINES))
    assert texts(source) == WANTED
    assert source.read(np.array([2, 0])).tolist() == [WANTED[2], WANTED[0]]
    assert "2 empty left out, 1 duplicates kept" in source.describe()


def test_duplicates_can_be_left_out(tmp_path) -> None:
    source = text_file(write(tmp_path / "a.txt", LINES), duplicates="drop")
    assert texts(source) == [*WANTED[:3], WANTED[4]]
    assert "1 duplicates left out" in source.describe()


def test_paragraphs_and_files(tmp_path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\n\n\nthree\n")
    assert texts(text_file(path, unit="paragraph")) == ["one\ntwo", "three"]
    assert texts(text_file(path, unit="file")) == ["one\ntwo\n\n\nthree"]


@pytest.mark.parametrize(
    ("encoding", "mark"), [("latin-1", b""), ("utf-16", b""), ("utf-8", b"\xef\xbb\xbf"), ("cp1252", b"")]
)
def test_other_encodings(tmp_path, encoding, mark) -> None:
    path = write(tmp_path / "a.txt", mark + LINES.encode(encoding))
    assert texts(text_file(path, encoding=encoding)) == WANTED
    if encoding == "utf-16":  # its byte order mark says what it is
        assert texts(text_file(path)) == WANTED


def test_a_wrong_encoding_is_named_with_line_and_way_out(tmp_path) -> None:
    path = write(tmp_path / "a.txt", LINES.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.txt, line 3: byte 15 \(0xfc\) is not utf-8.*data\.encoding=latin-1"):
        text_file(path)
    source = text_file(path, on_bad_input="skip")
    assert texts(source) == [WANTED[0], *WANTED[2:]]
    assert source.skipped[0].path.endswith("line 3")
    assert "1 unreadable left out" in source.describe()


@pytest.mark.parametrize(
    ("name", "content", "options", "sentence"),
    [
        ("a.txt", b"", {}, "is empty"),
        ("a.txt", b"\n \n\n", {}, r"holds no text \(3 empty"),
        ("a.txt", b"\x7fELF\0\0\x01", {}, "binary file"),
        ("a.txt", b"x" * 5000 + b"\n" + b"\0\x01\n", {}, "line 2: it holds zero bytes"),
        ("a.txt", b"word " * 300_000, {}, "line 1 is longer than 1 MB.*data.unit=file"),
        ("a.txt", b"hello", {"encoding": "utf-9"}, "must be the name of an encoding"),
        ("a.txt", b"caf\xe9 \xff\xfe\xfd", {"encoding": "utf-16"}, "is not utf-16"),
        ("a.txt.gz", None, {}, "cannot be read|damaged"),
        ("a.txt.xz", None, {}, "cannot be read|damaged"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, content, options, sentence) -> None:
    path = tmp_path / name
    path.write_bytes(b"this is no archive" if content is None else content)
    with pytest.raises(InputError, match=sentence):
        text_file(str(path), **options)


def test_a_truncated_archive_is_refused(tmp_path) -> None:
    path = Path(write(tmp_path / "a.txt.gz", "\n".join(map(str, np.random.default_rng(0).random(5000)))))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match="is damaged"):
        text_file(str(path))


def test_one_enormous_line_is_a_document_if_the_user_says_so(tmp_path) -> None:
    path = write(tmp_path / "a.txt", "word " * 300_000)
    assert len(texts(text_file(path, unit="file"))[0]) == 5 * 300_000 - 1


def test_a_file_that_changes_is_noticed(tmp_path) -> None:
    path = Path(write(tmp_path / "a.txt", LINES))
    source = text_file(str(path))
    path.write_text("short")
    with pytest.raises(RunError, match=r"a\.txt changed while it was in use"):
        source.read(np.array([0]))


def test_folder_with_classes(tmp_path) -> None:
    for name in ("pos/1.txt", "pos/2.txt.gz", "neg/deep/3.txt", "neg/4.md"):
        write(tmp_path / "reviews" / name, f"text of {name}\nsecond line")
    write(tmp_path / "reviews" / "neg" / "empty.txt", "")
    source = text_folder(str(tmp_path / "reviews"))
    assert source.class_names == ("neg", "pos")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert texts(source)[3] == "text of pos/2.txt.gz\nsecond line"
    assert "1 empty left out" in source.describe()
    assert len(text_folder(str(tmp_path / "reviews"), unit="line")) == 8


def test_folder_without_text_or_with_a_bad_file(tmp_path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"no text files in .* \(1 other files\)"):
        text_folder(str(tmp_path))
    write(tmp_path / "good.txt", "good")
    write(tmp_path / "bad.txt", b"\0\0\0")
    with pytest.raises(InputError, match=r"bad\.txt is a binary file"):
        text_folder(str(tmp_path))
    source = text_folder(str(tmp_path), on_bad_input="skip")
    assert texts(source) == ["good"]
    assert source.skipped[0].path.endswith("bad.txt")


def test_folder_of_more_files_than_are_kept_open(tmp_path) -> None:
    for number in range(100):
        write(tmp_path / f"{number:03}.txt", f"file {number}")
    source = text_folder(str(tmp_path))
    order = np.random.default_rng(0).permutation(100)
    assert source.read(np.tile(order, 3)).tolist() == [f"file {number}" for number in np.tile(order, 3)]


ROWS = [("one", "b"), ("two, with comma", "a"), ("", "a"), ('three "quoted"\nlines', "b")]


def table(tmp_path, kind: str) -> str:
    if kind.startswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"id": [1, 2, 3, 4], "text": [r[0] for r in ROWS], "label": [r[1] for r in ROWS], "many": [[1]] * 4}
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        return str(tmp_path / "a.parquet")
    if kind.startswith(".jsonl"):
        lines = "\n".join(json.dumps({"id": 1, "text": text, "label": label}) for text, label in ROWS)
        return write(tmp_path / f"a{kind}", lines + "\n\n")
    quoted = [(text.replace('"', '""'), label) for text, label in ROWS]
    return write(tmp_path / f"a{kind}", "id,text,label\n" + "".join(f'1,"{text}",{label}\n' for text, label in quoted))


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".csv.xz", ".jsonl", ".jsonl.gz", ".parquet"])
def test_tables(tmp_path, kind) -> None:
    source = text_table(table(tmp_path, kind))
    assert texts(source) == ["one", "two, with comma", 'three "quoted"\nlines']
    assert source.class_names == ("a", "b")
    assert source.labels.tolist() == [1, 0, 1]
    assert "1 empty left out" in source.describe()
    assert text_table(table(tmp_path, kind), label="-").labels is None


def test_numbers_sort_as_numbers_fractions_are_targets_and_missing_labels_are_told(tmp_path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,10\nb,9\nc,\n")
    source = text_table(path)
    assert source.class_names == ("9", "10")
    assert source.labels.tolist() == [1, 0, -1]
    source = text_table(write(tmp_path / "b.csv", "text,label\na,1.5\nb,2\nc,\n"))
    np.testing.assert_array_equal(source.targets, np.array([1.5, 2.0, np.nan], "float32"))


def test_test_rows_are_kept_apart(tmp_path) -> None:
    path = write(tmp_path / "a.csv", "split,text,label\ntrain,a,x\ntest,b,y\ntrain,c,y\n")
    source = text_table(path)
    assert (texts(source), texts(source.holdout())) == (["a", "c"], ["b"])
    assert source.class_names == source.holdout().class_names == ("x", "y")


@pytest.mark.parametrize(
    ("name", "content", "options", "sentence"),
    [
        ("a.csv", "a,b\n1,2\n", {}, r"say which column holds the texts.*Its columns: a, b"),
        ("a.csv", "text,b\n1,2\n", {"text": "texts"}, r"has no column 'texts'.*Did you mean 'text'"),
        ("a.csv", "text,b\n1,2\n", {"label": "y"}, "has no column 'y'"),
        ("a.csv", "text,b\n1,2,3\n", {}, "row 1 has 3 columns and the header has 2"),
        ("a.csv", 'text,b\n"1,2\n', {}, "not a readable table"),
        ("a.csv", "", {}, "is empty"),
        ("a.csv", "text,label\n", {}, "holds no text"),
        ("a.csv", "text,split\na,maybe\n", {}, "must say train or test"),
        ("a.csv", "text,split\na,test\n", {}, "every row is marked as a test row"),
        ("a.csv", b"text\ncaf\xe9\n", {}, "is not utf-8.*0xe9"),
        ("a.jsonl", '{"text": "a"}\nnothing\n', {}, "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", {}, "is no JSON object"),
        ("a.jsonl", '{"text": 3}\n', {}, "row 1: column 'text' holds int and not text"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', {}, "row 2: it has no column 'label'"),
        ("a.parquet", b"PAR1 nothing", {}, "not a readable Parquet file"),
    ],
)
def test_bad_tables_are_refused(tmp_path, name, content, options, sentence) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=sentence):
        text_table(path, **options)


def test_fingerprint_follows_texts_and_labels_not_the_place(tmp_path) -> None:
    first = text_table(write(tmp_path / "a.csv", "text,label\na,x\nb,y\n")).fingerprint()
    assert text_table(write(tmp_path / "elsewhere" / "b.csv", "text,label\na,x\nb,y\n")).fingerprint() == first
    assert text_table(write(tmp_path / "c.csv", "text,label\na,x\nb,x\n")).fingerprint() != first
    assert text_table(write(tmp_path / "d.csv", "text,label\na,x\nB,y\n")).fingerprint() != first


def test_memory_does_not_grow_with_the_texts(tmp_path) -> None:
    import tracemalloc

    path = tmp_path / "big.txt"
    with path.open("w") as file:
        for number in range(2000):
            file.write(f"{number} " + "x" * 20_000 + "\n")
    tracemalloc.start()
    source = text_file(str(path))
    source.read(np.array([1999, 5]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.size > 40_000_000
    assert peak < 4_000_000


def test_bundled_corpora() -> None:
    sizes = {wiki_mini: (8183, None), bible: (29380, 1701), home_intents: (4503, 1125), movie_snippets: (8568, 2000)}
    for opened, (rows, test) in sizes.items():
        source = opened()
        holdout = source.holdout()
        assert (len(source), None if holdout is None else len(holdout)) == (rows, test)
        assert source.inputs == "text" and source.row_shape == ()
    assert len(wiki_mini(rows="article")) == 103
    assert "formless" in texts(bible())[0] or bible(translation="kjv").fingerprint() != bible().fingerprint()
    assert movie_snippets(predict="valence").targets.min() >= -4
    assert "valence" not in movie_snippets().describe()


def test_texts_in_a_saved_set_of_hugging_face(tmp_path) -> None:
    """In the layout of `DatasetDict.save_to_disk`: streams of Arrow, with a description beside them."""
    features = {
        "body": {"dtype": "string", "_type": "Value"},
        "kind": {"names": ["ham", "spam"], "_type": "ClassLabel"},
    }
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test", "extra"]}))
    parts = (("train", ["one", "two", None], [1, 0, 0]), ("test", ["three"], [-1]), ("extra", ["four"], [1]))
    for part, texts, kinds in parts:
        (tmp_path / part).mkdir()
        table = pa.table({"body": pa.array(texts, pa.string()), "kind": pa.array(kinds, pa.int64())})
        with pa.ipc.new_stream(str(tmp_path / part / "data-00000-of-00001.arrow"), table.schema) as writer:
            writer.write_table(table)
        (tmp_path / part / "dataset_info.json").write_text(json.dumps({"features": features}))
        files = [{"filename": "data-00000-of-00001.arrow"}]
        (tmp_path / part / "state.json").write_text(json.dumps({"_data_files": files}))
    source = kptk.dataset(str(tmp_path), text="body", label="kind")
    assert source.read(np.arange(len(source))).tolist() == ["one", "two", "four"]  # extra is no name of a part
    assert [source.class_names[label] for label in source.labels] == ["spam", "ham", "spam"]
    assert source.holdout().read(np.array([0])).tolist() == ["three"] and source.holdout().labels.tolist() == [-1]
    with pytest.raises(InputError, match=r"-o data\.text=NAME\. It holds: body, kind"):
        text_folder(str(tmp_path))
    with pytest.raises(InputError, match="no data set with a column of texts"):
        kptk.dataset(str(tmp_path.parent), text="body")
