"""Vectors of a run: neighbours, analogies, exports, scores, and what they say to wrong input."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.cli.main import cli
from kptk.errors import InputError, UsageError
from kptk_words.commands import parse
from kptk_words.formats import FORMATS, write
from kptk_words.keyed_vectors import KeyedVectors
from kptk_words.scoring import analogies, similarity


def vectors() -> KeyedVectors:
    table = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.9, 0.2], [0.1, 0.1, 1]], "float32")
    return KeyedVectors(("king", "queen", "red", "blue", "naïve"), table)


def test_neighbours_are_sorted_by_cosine_without_the_word() -> None:
    found = vectors().neighbours("King", 3)
    assert [word for word, _ in found] == ["queen", "naïve", "red"]
    assert found[0][1] == pytest.approx(0.9 / np.hypot(0.9, 0.1))
    assert len(vectors().neighbours("king", 50)) == 4


def test_analogy_leaves_out_the_words_that_were_given() -> None:
    table = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [1, 1, 1]], "float32")
    found = KeyedVectors(("king", "man", "queen", "woman", "other"), table).analogy(["king", "woman"], ["man"], 2)
    assert found[0][0] == "queen"


def test_an_unknown_word_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"'quen' has no vector\. Did you mean 'queen'"):
        vectors().neighbours("quen")


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ("king - man + woman", (["king", "woman"], ["man"])),
        ("+ king - man", (["king"], ["man"])),
        ("king", (["king"], [])),
    ],
)
def test_terms_are_read(terms, wanted) -> None:
    assert parse(tuple(terms.split())) == wanted


@pytest.mark.parametrize("terms", ["king man", "king - - man", "king +", "- man", "+"])
def test_wrong_terms_are_refused(terms) -> None:
    with pytest.raises(UsageError, match="king - man"):
        parse(tuple(terms.split()))


@pytest.mark.parametrize("form", FORMATS)
def test_exports_give_every_bit_back(form, tmp_path) -> None:
    made = KeyedVectors(vectors().words, np.random.default_rng(0).normal(size=(5, 7)).astype("float32"))
    write(made, tmp_path / "v", form)
    data = (tmp_path / "v").read_bytes()
    if form != "glove":
        head, _, data = data.partition(b"\n")
        assert head == b"5 7"
    words, rows = [], []
    while data:
        word, _, data = data.partition(b" ")
        words.append(word.decode())
        if form == "word2vec-binary":
            rows.append(struct.unpack("<7f", data[:28]))
            data = data[29:]
        else:
            line, _, data = data.partition(b"\n")
            rows.append([float(number) for number in line.split()])
    assert tuple(words) == made.words
    assert np.array_equal(np.array(rows, "float32"), made.vectors)


def test_words_with_spaces_cannot_be_exported(tmp_path) -> None:
    with pytest.raises(InputError, match="white space"):
        write(KeyedVectors(("a b",), np.ones((1, 2), "float32")), tmp_path / "v", "word2vec")
    assert not list(tmp_path.iterdir())


def test_similarity_is_spearmans_correlation_over_known_pairs(tmp_path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("# remark\nWord 1\tWord 2\tscore\nking\tqueen\t9\nred\tblue\t8\nking\tred\t1\nking\tnobody\t5\n")
    result = similarity(vectors(), file)
    assert (result.scored, result.asked) == (3, 4)
    assert result.figure == pytest.approx(1.0)


def test_analogies_are_counted(tmp_path) -> None:
    table = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], "float32")
    file = tmp_path / "questions.txt"
    file.write_text(": family\nman king woman queen\nman king woman man\nman king boy prince\n")
    result = analogies(KeyedVectors(("king", "man", "queen", "woman"), table), file)
    assert (result.figure, result.scored, result.asked) == (0.5, 2, 3)


@pytest.mark.parametrize("content", [b"", b"only words\n", b"\xff\xfe\x00bad"])
def test_files_that_are_no_tests_are_refused(tmp_path, content) -> None:
    file = tmp_path / "test"
    file.write_bytes(content)
    for judge in (similarity, analogies):
        with pytest.raises(InputError, match="test"):
            judge(vectors(), file)


def test_a_run_from_the_command_line(tmp_path) -> None:
    """Train on a file, ask for neighbours, export, and refuse what is wrong, all by exit codes."""
    corpus = tmp_path / "corpus.txt"
    rng = np.random.default_rng(0)
    topics = (["cat", "dog", "cow", "pig"], ["red", "blue", "green", "grey"])
    corpus.write_text("\n".join(" ".join(rng.choice(topics[row % 2], 12)) for row in range(400)))
    run, cli_run = str(tmp_path / "run"), CliRunner()
    command = ["train", "--plugin", "words", "--data", str(corpus), "--out", run, "--epochs", "3", "--batch-size", "4"]
    command += ["-o", "preprocessor.block=64", "-o", "backbone.dim=8", "-o", "preprocessor.sample=0", "--quiet"]
    done = cli_run.invoke(cli, command)
    assert done.exit_code == 0, done.output
    done = cli_run.invoke(cli, ["neighbours", run, "cat", "--count", "3"])
    assert done.exit_code == 0, done.output
    found = [line.split() for line in done.output.splitlines() if line.strip()]
    assert len(found) == 3
    assert {word for _, word in found} <= {"dog", "cow", "pig", *topics[1]}
    assert [float(cosine) for cosine, _ in found] == sorted((float(cosine) for cosine, _ in found), reverse=True)
    done = cli_run.invoke(cli, ["words", "export", run, "--format", "glove", "-o", str(tmp_path / "v.txt")])
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "v.txt").read_text().splitlines()) == 8
    wrong = (
        ["neighbours", run, "cta"],
        ["words", "export", run, "-o", str(tmp_path / "v.txt")],
        ["words", "score", run],
    )
    for arguments in (*wrong, ["analogy", run, "cat", "dog"]):
        done = cli_run.invoke(cli, arguments)
        assert done.exit_code == 2, (arguments, done.output)
