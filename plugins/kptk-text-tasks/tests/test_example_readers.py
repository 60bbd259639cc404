"""Readers of tagged words and of questions: what they read, and the sentence for everything that they refuse."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from kptk.data import Subset
from kptk.errors import InputError
from kptk_text_tasks.questions import questions
from kptk_text_tasks.tagged_words import tagged_words

CONLL = """-DOCSTART- -X- O

# a comment
EU\tB-ORG
rejects\tO

Peter\tB-PER
Blackburn\tI-PER
"""


def rows(source):
    return source.read(np.arange(len(source))).tolist()


def write(path: Path, content: str) -> str:
    data = content.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def lines(*items) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


@pytest.mark.parametrize("name", ["a.conll", "a.iob2.gz"])
def test_conll(tmp_path, name) -> None:
    source = tagged_words(write(tmp_path / name, CONLL))
    assert rows(source) == [("EU", "rejects"), ("Peter", "Blackburn")]
    assert source.targets.tolist() == [("B-ORG", "O"), ("B-PER", "I-PER")]
    assert source.describe() == f"{name}: 2 sentences" and source.inputs == "text"


def test_conll_of_four_columns(tmp_path) -> None:
    path = write(tmp_path / "a.conll", "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n# N # O\n")
    assert tagged_words(path).targets[0] == ("B-ORG", "O", "O")
    assert rows(tagged_words(path))[0][2] == "#"  # within a sentence a hash is a word
    assert tagged_words(path, tag_column=2).targets[0] == ("NNP", "VBZ", "N")


def test_words_without_tags(tmp_path) -> None:
    source = tagged_words(write(tmp_path / "a.conll", "EU\nrejects\n\nPeter\n"))
    assert rows(source) == [("EU", "rejects"), ("Peter",)] and source.targets is None


def test_lists_of_words(tmp_path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        lines(
            {"tokens": ["a", "b"], "tags": ["X", "O"]},
            {"tokens": ["c"], "tags": None},
            {"tokens": ["d"], "tags": [3], "split": "test"},
        ),
    )
    source = tagged_words(path)
    assert rows(source) == [("a", "b"), ("c",)] and source.targets.tolist() == [("X", "O"), None]
    assert source.holdout().targets.tolist() == [("3",)]
    assert source.describe() == "a.jsonl: 2 sentences, 1 with an answer"
    assert Subset(source, np.array([1]), "one").targets.tolist() == [None]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.conll", "EU\tB-ORG\n\tO\n", "sentence in line 1: line 2 has a tag ('O') without a word"),
        ("a.conll", "EU\tB-ORG\nrejects\n", "line 2 has no tag, and the lines before it have one"),
        ("a.conll", "EU\nrejects\tO\n", "line 2 has a tag, and the lines before it have none"),
        ("a.conll", "EU\tB-ORG\nrejects\t\n", "has the word 'rejects' without a tag"),
        ("a.conll", "\n\n", "a.conll holds no sentences"),
        ("a.jsonl", lines({"tokens": ["a", "b"], "tags": ["X"]}), "one tag for each of its 2 words. Received: 1 tags"),
        ("a.jsonl", lines({"tokens": [], "tags": ["X"]}), "row 1: tags without words"),
        ("a.jsonl", lines({"tokens": None, "tags": ["X"]}), "row 1: tags without words"),
        ("a.jsonl", lines({"tokens": "a b", "tags": ["X"]}), "'tokens' must be a list of words. Received: 'a b'"),
        ("a.jsonl", lines({"tokens": ["a", " "], "tags": ["X", "Y"]}), "word 2 is empty"),
        ("a.jsonl", lines({"text": "a b"}), "say which column holds the words: -o data.words=NAME"),
    ],
)
def test_words_that_cannot_be_used(tmp_path, name, content, says) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        tagged_words(path)
    assert says in str(caught.value)
    if "no sentences" in says or "say which" in says:
        return
    with pytest.raises(InputError, match=r"holds no sentences \(1 unusable\)"):
        tagged_words(path, on_bad_input="skip")
    good = lines({"tokens": ["x"]}) if "jsonl" in name else "\nx\n" if says.endswith("have none") else "\nx\tO\n"
    more = write(tmp_path / f"b{Path(name).suffix}", content + good)
    assert len(tagged_words(more, on_bad_input="skip").skipped) == 1


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Paris",
            "paragraphs": [
                {
                    "context": "The tower was built in 1889. It is tall.",
                    "qas": [
                        {"id": "q1", "question": "When?", "answers": [{"text": "1889", "answer_start": 23}]},
                        {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True},
                        {"id": "q3", "question": "How?"},
                    ],
                }
            ],
        }
    ],
}


def test_squad(tmp_path) -> None:
    source = questions(write(tmp_path / "a.json", json.dumps(SQUAD)))
    assert source.names == ["q1", "q2", "q3"] and rows(source)[1] == (
        "Who?",
        "The tower was built in 1889. It is tall.",
    )
    assert source.targets.tolist() == [((23, "1889"),), (), None]


@pytest.mark.parametrize(
    "row",
    [
        {"answer": "1889", "answer_start": 9},
        {"answer": "1889"},
        {"answers": ["1889"]},
        {"answers": {"text": ["1889", "in 1889"], "answer_start": [9, 6]}},
        {"answers": [{"text": "1889", "answer_start": 9}]},
    ],
)
def test_answers_in_every_usual_form(tmp_path, row) -> None:
    path = write(tmp_path / "a.jsonl", lines({"question": "When?", "context": "Built in 1889", **row}))
    assert questions(path).targets[0][0] == (9, "1889")


def test_a_table_of_questions(tmp_path) -> None:
    path = write(tmp_path / "a.csv", "id,query,passage,answer\n7,When?,Built in 1889,1889\n8,Who?,Built in 1889,\n")
    source = questions(path)
    assert source.targets.tolist() == [((9, "1889"),), ()] and source.names == ["7", "8"]
    assert questions(path, answer="-").targets is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"answer": "1890"}, "the answer '1890' is not in its context"),
        ({"answer": "1889", "answer_start": 3}, "not at character 3 of its context, where 'lt i' stands"),
        ({"answer": "1889", "answer_start": "x"}, "answer_start must be a whole number. Received: 'x'"),
        ({"answer": "1889", "answer_start": -1}, "not at character -1"),
        ({"question": " "}, "its question must be a text that is not empty"),
        ({"context": None}, "its context must be a text that is not empty"),
        ({"answers": [5]}, "an answer must be a text. Received: 5"),
    ],
)
def test_questions_that_cannot_be_used(tmp_path, row, says) -> None:
    good = {"question": "When?", "context": "Built in 1889"}
    path = write(tmp_path / "a.jsonl", lines(good | row))
    with pytest.raises(InputError) as caught:
        questions(path)
    assert says in str(caught.value) and "row 1" in str(caught.value)
    both = write(tmp_path / "b.jsonl", lines(good | row, good))
    assert len(questions(both, on_bad_input="skip").skipped) == 1


@pytest.mark.parametrize(
    "content", ['{"data": 3}', '{"data": [{"paragraphs": [{"context": "x"}]}]}', '{"question": "x"}']
)
def test_json_that_is_not_squad(tmp_path, content) -> None:
    with pytest.raises(InputError, match="not in SQuAD's form"):
        questions(write(tmp_path / "a.json", content))
    with pytest.raises(InputError, match="not JSON"):
        questions(write(tmp_path / "b.json", content + "}"))
