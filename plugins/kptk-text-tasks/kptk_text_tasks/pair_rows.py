"""Rows of the model made of texts and what is to be written of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.pieces import cut, row_of, token_facts
from kptk_text_tasks.example_rows import ModelRows, answers_of, read_all

Array = NDArray[Any]
LEAST_TOKENS = 3


@dataclass(frozen=True, slots=True)
class TargetNote:
    """What a row holds.

    Args:
        text: that is read.
        target: that is to be written, or None.
        end: the token that ends a text.
        decode: from token numbers to a text.
    """

    text: str
    target: str | None
    end: int
    decode: Callable[[Any], str]

    def written(self, ids: Array) -> tuple[str, Array]:
        """A written text, and its tokens up to its end.

        Args:
            ids: token numbers behind the start token, shape ``(length,)``.
        """
        ends = np.flatnonzero(ids == self.end)
        kept = ids[: ends[0]] if len(ends) else ids[ids != 0]
        return self.decode(kept), kept


def pair_rows(source: Source, preprocessor: Any, length: int, owner: str) -> ModelRows:
    """Put the tokens of a text and of its target behind each other: ``[CLS] text [SEP]``, then ``[CLS] target [SEP]``.

    The second part has a place more than the decoder: its inputs are all but the last, its targets all but the first.

    Args:
        source: texts, with texts as targets where they are known.
        preprocessor: cuts them into pieces.
        length: tokens of a target that the decoder takes, its start token among them.
        owner: name of the task.

    Raises:
        InputError: if a row is no text, or a target is empty.
        UsageError: if the length is too short for any target.
    """
    if length < LEAST_TOKENS:
        raise UsageError(f"`target_length` must be at least {LEAST_TOKENS}. Received: {length}.")
    found = token_facts(preprocessor, owner)
    texts, targets = read_all(source), answers_of(source)
    for number, (text, target) in enumerate(zip(texts, targets, strict=True)):
        if not isinstance(text, str):
            raise InputError(f"{source.describe()}: row {number:,} must be a text. Received: {text!r:.60}.")
        if target is not None and (not isinstance(target, str) or not target.strip()):
            raise InputError(
                f"{source.describe()}: the target of row {number:,} must be a text that is not empty. Received: {target!r:.60}."
            )
    read = int(preprocessor.prepared_shape(())[-1])
    rows = np.zeros((len(texts), read + length + 1), dtype=np.int32)
    notes, cut_off = [], [0, 0]
    written = cut(preprocessor, [target or "" for target in targets], owner)
    for row, text, target, mine, other in zip(
        rows, texts, targets, cut(preprocessor, texts, owner), written, strict=True
    ):
        row[:read] = row_of([mine.ids[: read - 2]], found, (read,))
        row[read] = found.start
        if target is not None:
            ids = np.append(other.ids, found.end)[:length]
            row[read + 1 : read + 1 + len(ids)] = ids
        cut_off[0] += len(mine) > read - 2
        cut_off[1] += len(other) >= length
        notes.append(TargetNote(text, target, found.end, preprocessor.decode))
    parts = zip(cut_off, ("texts", "targets"), (read - 2, length - 1), strict=True)
    return ModelRows(
        source,
        rows,
        rows[:, read + 1 :] if source.targets is not None else None,
        list(range(len(texts))),
        notes,
        lambda other: pair_rows(other, preprocessor, length, owner),
        ", ".join(f"{count:,} {what} cut to {size} tokens" for count, what, size in parts if count),
    )
