"""Rows of the model made of questions and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.pieces import Pieces, cut, row_of, token_facts
from kptk_text_tasks.example_rows import ModelRows, answers_of, read_all
from kptk_text_tasks.windows import owners, windows

Array = NDArray[Any]
LEAST_ROOM = 8
"""Pieces of the text that a row must have room for behind its question."""
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class TextNote:
    """What a row holds of a question and its text.

    Args:
        question: the question.
        context: the whole text.
        answers: first character and text of each right answer; empty if there is none, None if nobody knows.
        place: where in the row the text begins.
        starts: first character of each piece of the text that is in the row.
        ends: the character behind it.
        own: whether the piece has more around it in this row than in any other.
    """

    question: str
    context: str
    answers: tuple[tuple[int, str], ...] | None
    place: int
    starts: Array
    ends: Array
    own: Array


def question_rows(source: Source, preprocessor: Any, overlap: int, owner: str) -> ModelRows:
    """Make ``[CLS] question [SEP] text [SEP]`` of each question, several rows where the text is longer than its row.

    The label of a row is the first and the last place of the first right answer; both 0, the place of ``[CLS]``, where the
    row does not hold all of it.

    Args:
        source: pairs of a question and a text.
        preprocessor: cuts texts into pieces.
        overlap: pieces that a window has in common with the next one.
        owner: name of the task.

    Raises:
        InputError: if a row is no such pair, or a question leaves no room for its text.
    """
    found = token_facts(preprocessor, owner)
    pairs = _pairs(source)
    shape = tuple(preprocessor.prepared_shape(()))
    asked = cut(preprocessor, [question for question, _ in pairs], owner)
    texts = cut(preprocessor, [context for _, context in pairs], owner)
    rows, labels, groups, notes, cut_up = [], [], [], [], 0
    for number, ((question, context), q, text, answers) in enumerate(
        zip(pairs, asked, texts, answers_of(source), strict=True)
    ):
        room = shape[-1] - len(q) - 3
        if room < LEAST_ROOM:
            raise InputError(
                f"{source.describe()}: the question in row {number:,} has {len(q)} pieces, which leaves room for {max(room, 0)} "
                f"of its text in a row of {shape[-1]}; {LEAST_ROOM} are needed. Pre-train with longer rows "
                "(-o preprocessor.length=N), or leave such questions out."
            )
        parts = windows(np.ones(len(text), dtype=np.int64), room, min(overlap, room // 2))
        owner_of = owners(parts, len(text))
        cut_up += len(parts) > 1
        for index, (first, last) in enumerate(parts):
            rows.append(row_of([q.ids, text.ids[first:last]], found, shape))
            labels.append(_label(text, answers, first, last, len(q) + 2))
            groups.append(number)
            notes.append(
                TextNote(
                    question,
                    context,
                    answers,
                    len(q) + 2,
                    text.starts[first:last],
                    text.ends[first:last],
                    owner_of[first:last] == index,
                )
            )
    known = any(given is not None for given in answers_of(source))
    return ModelRows(
        source,
        np.stack(rows),
        np.array(labels, dtype=np.int32) if known else None,
        groups,
        notes,
        lambda other: question_rows(other, preprocessor, overlap, owner),
        f"{cut_up:,} with a text longer than a row of {shape[-1]} tokens, in windows" if cut_up else "",
    )


def _label(text: Pieces, answers: Any, first: int, last: int, place: int) -> tuple[int, int]:
    """First and last place of the answer within a row."""
    if answers is None:
        return UNKNOWN, UNKNOWN
    if not answers:
        return 0, 0
    begin, written = answers[0]
    inside = np.flatnonzero((text.ends > begin) & (text.starts < begin + len(written)))
    if not len(inside) or inside[0] < first or inside[-1] >= last:
        return 0, 0
    return int(inside[0]) - first + place, int(inside[-1]) - first + place


def _pairs(source: Source) -> list[tuple[str, str]]:
    pairs = read_all(source)
    for number, pair in enumerate(pairs):
        fine = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        if not fine or not all(part.strip() for part in pair):
            raise InputError(
                f"{source.describe()}: row {number:,} must be a question and its text. Received: {pair!r:.60}. Give columns "
                "question and context."
            )
    return [(pair[0], pair[1]) for pair in pairs]
