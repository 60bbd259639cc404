"""Reader of questions with the text that answers them: SQuAD's JSON, JSON lines and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kptk.errors import InputError
from kptk.reading import BROKEN, codec_of, is_test_row, open_binary, table_rows
from kptk_text_tasks.bad_rows import BadRows
from kptk_text_tasks.example_rows import ExampleRows
from kptk_text_tasks.named_columns import column

QUESTION = ("question", "query")
CONTEXT = ("context", "passage", "paragraph", "text")
ANSWER = ("answers", "answer", "answer_text")
START = ("answer_start", "start")

Answers = tuple[tuple[int, str], ...]
"""First character and text of each answer that is right; empty if the text does not answer the question."""


@dataclass(slots=True)
class _Found:
    rows: list[tuple[str, str]] = field(default_factory=list)
    answers: list[Answers | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def source(self, name: str, **more: Any) -> ExampleRows:
        return ExampleRows(self.rows, self.answers, name=name, what="questions", files=self.names, **more)


def questions(
    path: str,
    *,
    question: str = "",
    context: str = "",
    answer: str = "",
    answer_start: str = "",
    encoding: str = "utf-8",
    on_bad_input: str = "error",
) -> ExampleRows:
    """Open questions, each with a text and the part of it that is the answer.

    A ``.json`` file is SQuAD's, version 1 or 2. A table has the columns question, context and answer; where answer_start is
    missing, the answer is where it first stands in the context. An answer may be a text, a list of texts, or SQuAD's
    ``{"text": [...], "answer_start": [...]}``; an empty one says that the text does not answer the question. A column split
    that says train or test keeps the test rows apart, as `holdout`. Without answers, questions to predict for.

    Args:
        path: a ``.json`` file, or ``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv`` or ``.parquet``.
        question: name of the column of questions; by default question or query.
        context: name of the column of texts; by default context, passage, paragraph or text.
        answer: name of the column of answers; by default answers, answer or answer_text; ``-`` for none.
        answer_start: name of the column with the answer's first character; by default answer_start or start.
        encoding: of the file, unless a byte order mark says otherwise.
        on_bad_input: ``"error"`` refuses questions that cannot be used, ``"skip"`` leaves them out and lists them.

    Returns:
        A question a row: question and text; the answers as target, ``()`` for none.

    Raises:
        InputError: if the file cannot be read, or an answer is not where it is said to be in its text.
    """
    file = Path(path)
    bad = BadRows(on_bad_input)
    parts = {False: _Found(), True: _Found()}
    if file.name.lower().removesuffix(".gz").removesuffix(".xz").endswith(".json"):
        found = _squad(file, encoding)
    else:
        found = _table(file, encoding, question, context, answer, answer_start)
    for where, name, row, given, test in found:
        reason, answers = _checked(row, given)
        if reason:
            bad.add(where, reason)
            continue
        part = parts[test]
        part.rows.append(row)
        part.answers.append(answers)
        part.names.append(name)
    if parts[True].rows and not parts[False].rows:
        raise InputError(f"{file.name}: every row is marked as a test row, so there is nothing to learn from.")
    holdout = parts[True].source(f"{file.name} test part") if parts[True].rows else None
    return parts[False].source(file.name, skipped=bad.found, holdout=holdout)


Item = tuple[str, str, tuple[Any, Any], Any, bool]
"""Where it is, its name, question and text, the answers as they were written, and whether it is for tests."""


def _squad(path: Path, encoding: str) -> Iterator[Item]:
    codec = codec_of(path, encoding)
    try:
        with open_binary(path) as file:
            whole = json.loads(file.read().decode(codec))
    except BROKEN as error:
        raise InputError(f"{path} is damaged: {error}") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    articles = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(articles, list):
        raise InputError(
            f'{path} is not in SQuAD\'s form: {{"data": [{{"paragraphs": [{{"context": "...", "qas": [...]}}]}}]}}. '
            "One object a line is a .jsonl file."
        )
    number = 0
    for article in articles:
        for paragraph in _list(path, article, "paragraphs"):
            for asked in _list(path, paragraph, "qas"):
                number += 1
                where = f"{path}, question {number:,}" + (f" ({asked.get('id')})" if asked.get("id") else "")
                given = asked.get("answers")
                if asked.get("is_impossible"):
                    given = []
                row = (asked.get("question"), paragraph.get("context"))
                yield where, str(asked.get("id", number)), row, given, False


def _list(path: Path, holder: Any, key: str) -> list[Any]:
    found = holder.get(key) if isinstance(holder, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise InputError(f"{path} is not in SQuAD's form: '{key}' must be a list of objects.")
    return found


def _table(path: Path, encoding: str, question: str, context: str, answer: str, answer_start: str) -> Iterator[Item]:
    names: dict[str, str] = {}
    for number, row in table_rows(path, encoding, nested=True):
        if not names:
            known, text = list(row), str(path)
            names = {
                "question": column(text, known, question, "question", QUESTION),
                "context": column(text, known, context, "context", CONTEXT),
                "answer": column(text, known, answer, "answer", ANSWER, needed=False),
                "start": column(text, known, answer_start, "answer_start", START, needed=False),
            }
        where = f"{path}, row {number:,}"
        given = row.get(names["answer"]) if names["answer"] else None
        if names["answer"] and given is None and names["answer"] in row:
            given = []  # null: no answer
        if isinstance(given, str):
            start = row.get(names["start"]) if names["start"] else None
            given = [{"text": given, "answer_start": start}] if given else []
        yield (
            where,
            str(row.get("id", number - 1)),
            (row.get(names["question"]), row.get(names["context"])),
            given,
            is_test_row(row, where),
        )


def _checked(row: tuple[Any, Any], given: Any) -> tuple[str, Answers | None]:
    """What is wrong with a question, empty if nothing is; and its answers."""
    for value, what in zip(row, ("question", "context"), strict=True):
        if not isinstance(value, str) or not value.strip():
            return f"its {what} must be a text that is not empty. Received: {value!r:.60}", None
    if given is None:
        return "", None
    found: list[tuple[int, str]] = []
    for text, start in _answers(given):
        if not isinstance(text, str) or not text:
            return f"an answer must be a text. Received: {text!r:.60}", None
        reason, place = _placed(row[1], text, start)
        if reason:
            return reason, None
        found.append((place, text))
    return "", tuple(found)


def _answers(given: Any) -> list[tuple[Any, Any]]:
    """Text and first character of each answer, in whichever of the usual forms."""
    if isinstance(given, Mapping):
        texts, starts = given.get("text", []), given.get("answer_start", [])
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        return list(zip(texts, starts, strict=False)) if len(texts) == len(starts) else [(text, None) for text in texts]
    if isinstance(given, (list, tuple)):
        return [(a.get("text"), a.get("answer_start")) if isinstance(a, Mapping) else (a, None) for a in given]
    return [(given, None)]


def _placed(context: str, text: str, start: Any) -> tuple[str, int]:
    """Where an answer begins, or what is wrong with it."""
    if start in (None, ""):
        place = context.find(text)
        return ("" if place >= 0 else f"the answer {text!r:.60} is not in its context"), place
    try:
        place = int(start)
    except (TypeError, ValueError):
        return f"answer_start must be a whole number. Received: {start!r:.60}", -1
    if place < 0 or context[place : place + len(text)] != text:
        there = context[max(place, 0) : max(place, 0) + len(text)]
        return f"the answer {text!r:.60} is not at character {place:,} of its context, where {there!r:.60} stands", -1
    return "", place
