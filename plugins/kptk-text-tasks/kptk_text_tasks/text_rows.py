"""Rows of the model made of plain texts: to learn from, and to go on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.pieces import cut, token_facts
from kptk_text_tasks.example_rows import ModelRows, read_all

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class PromptNote:
    """A text that is to be continued.

    Args:
        text: the whole text.
        count: tokens of it that are in the row, ``[CLS]`` among them.
        end: the token that ends a text.
        decode: from token numbers to a text.
    """

    text: str
    count: int
    end: int
    decode: Callable[[Any], str]

    def continuation(self, row: Array, most: int) -> tuple[str, int, bool]:
        """What was written behind the prompt: text, tokens, and whether it was ended.

        Args:
            row: token numbers of the row, shape ``(length,)``.
            most: tokens at most.
        """
        written = row[self.count : self.count + most]
        ends = np.flatnonzero(written == self.end)
        kept = written[: ends[0]] if len(ends) else written
        return self.decode(kept), len(kept), bool(len(ends))


def text_rows(source: Source, preprocessor: Any, owner: str) -> ModelRows:
    """Make ``[CLS] text [SEP]`` of each text; a longer one goes on in further rows, ``[CLS]`` before each.

    Args:
        source: texts.
        preprocessor: cuts them into pieces.
        owner: name of the task.
    """
    found = token_facts(preprocessor, owner)
    shape = tuple(preprocessor.prepared_shape(()))
    body = shape[-1] - 1
    rows, groups = [], []
    for number, pieces in enumerate(cut(preprocessor, _texts(source), owner)):
        ids = np.append(pieces.ids, found.end)
        for start in range(0, len(ids), body):
            part = ids[start : start + body]
            if start and len(part) == 1:
                continue  # the [SEP] alone
            row = np.zeros(shape, dtype=np.int32)
            line = row[0] if row.ndim == 2 else row
            line[0] = found.start
            line[1 : len(part) + 1] = part
            rows.append(row)
            groups.append(number)
    longer = len(rows) - len(np.unique(groups))
    return ModelRows(
        source,
        np.stack(rows),
        None,
        groups,
        [None] * len(rows),
        lambda other: text_rows(other, preprocessor, owner),
        f"as {len(rows):,} rows of {shape[-1]} tokens" if longer else "",
    )


def prompt_rows(source: Source, preprocessor: Any, new_tokens: int, owner: str) -> ModelRows:
    """Make ``[CLS] text`` of each text, of a longer one its end, with room for what is to be written.

    Args:
        source: texts.
        preprocessor: cuts them into pieces.
        new_tokens: tokens that are to be written; half a row is room enough.
        owner: name of the task.
    """
    found = token_facts(preprocessor, owner)
    shape = tuple(preprocessor.prepared_shape(()))
    room = shape[-1] - 1 - min(new_tokens, shape[-1] // 2)
    texts = _texts(source)
    rows = np.zeros((len(texts), *shape), dtype=np.int32)
    notes, cut_off = [], 0
    for row, text, pieces in zip(rows, texts, cut(preprocessor, texts, owner), strict=True):
        line = row[0] if row.ndim == 2 else row
        ids = pieces.ids[-room:]
        cut_off += len(pieces) > room
        line[0] = found.start
        line[1 : len(ids) + 1] = ids
        notes.append(PromptNote(text, len(ids) + 1, found.end, preprocessor.decode))
    return ModelRows(
        source,
        rows,
        None,
        list(range(len(texts))),
        notes,
        lambda other: prompt_rows(other, preprocessor, new_tokens, owner),
        f"{cut_off:,} cut to their last {room} tokens" if cut_off else "",
    )


def _texts(source: Source) -> list[str]:
    texts = read_all(source)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{source.describe()}: row {number:,} must be a text. Received: {text!r:.60}.")
    return texts
