"""Rows of the model made of sentences of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.pieces import Pieces, cut, row_of, token_facts
from kptk.training.task import Task
from kptk_text_tasks.example_rows import ModelRows, answers_of, read_all
from kptk_text_tasks.windows import owners, windows

Array = NDArray[Any]
NO_TAG, UNKNOWN_TAG = -1, -2
"""Numbers of no tag, and of one that the model has not learned."""


@dataclass(frozen=True, slots=True)
class WordNote:
    """What a row holds of a sentence.

    Args:
        words: of the whole sentence.
        tags: of the whole sentence, or None.
        own: the words that are tagged in this row, by number.
        places: where in the row the first piece of each of them is.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    own: Array
    places: Array


def word_rows(task: Task, source: Source, preprocessor: Any, overlap: int) -> ModelRows:
    """Cut the words of sentences into pieces, one row a sentence, or several where it is longer than a row.

    Args:
        task: knows the tags.
        source: sentences: tuples of words, or texts, which are parted at spaces.
        preprocessor: cuts words into pieces.
        overlap: pieces that a window has in common with the next one.

    Raises:
        InputError: if a row is no sentence of words, or has another number of tags.
    """
    found = token_facts(preprocessor, task.name)
    sentences, tags = _sentences(source), answers_of(source)
    number = {name: place for place, name in enumerate(task.class_names)}
    shape = tuple(preprocessor.prepared_shape(()))
    room = shape[-1] - 2
    rows, labels, groups, notes, cut_up = [], [], [], [], 0
    for place, (words, own_tags, pieces) in enumerate(
        zip(sentences, tags, cut(preprocessor, sentences, task.name), strict=True)
    ):
        if own_tags is not None and len(own_tags) != len(words):
            raise InputError(
                f"row {place:,} has {len(words)} words and {len(own_tags)} tags. Give one tag for each word."
            )
        sizes = np.bincount(pieces.words, minlength=len(words))
        parts = windows(sizes, room, min(overlap, room // 2))
        owner = owners(parts, len(words))
        cut_up += len(parts) > 1
        for index, (first, last) in enumerate(parts):
            own = np.flatnonzero(owner == index)
            ids, places = _part(pieces, first, last, own, room)
            line = np.full(shape[-1], NO_TAG, dtype=np.int32)
            if own_tags is not None:
                line[places] = [number.get(str(own_tags[word]), UNKNOWN_TAG) for word in own]
            rows.append(row_of([ids], found, shape))
            labels.append(line)
            groups.append(place)
            notes.append(WordNote(words, own_tags, own, places))
    known = any(given is not None for given in tags)
    return ModelRows(
        source,
        np.stack(rows),
        np.stack(labels) if known else None,
        groups,
        notes,
        lambda other: word_rows(task, other, preprocessor, overlap),
        f"{cut_up:,} longer than a row of {shape[-1]} tokens, in windows" if cut_up else "",
    )


def _part(pieces: Pieces, first: int, last: int, own: Array, room: int) -> tuple[Array, Array]:
    """Token numbers of some words, and where in the row the first piece of each own word is."""
    inside = np.flatnonzero((pieces.words >= first) & (pieces.words < last))[:room]
    starts = np.searchsorted(pieces.words[inside], own)
    return pieces.ids[inside], starts + 1  # [CLS] comes first


def _sentences(source: Source) -> list[tuple[str, ...]]:
    sentences = []
    for place, row in enumerate(read_all(source)):
        words = tuple(row.split()) if isinstance(row, str) else row
        if not isinstance(words, (tuple, list)) or not words or not all(isinstance(word, str) for word in words):
            raise InputError(
                f"{source.describe()}: row {place:,} must be a sentence of words, as a list. Received: {row!r:.60}."
            )
        sentences.append(tuple(words))
    return sentences
