"""Pieces of texts with the places that they came from: what a task needs that answers with words or parts of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.training.tokens import TokenFacts, facts

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one text, without special tokens.

    Args:
        ids: token numbers, shape ``(pieces,)``.
        starts: first character of each piece in the text, or within its word where the text was given as words.
        ends: the character behind it.
        words: number of the word of each piece, where the text was given as words; otherwise 0.
    """

    ids: Ints
    starts: Ints
    ends: Ints
    words: Ints

    def __len__(self) -> int:
        return len(self.ids)


def cut(preprocessor: Any, texts: Sequence[str] | Sequence[Sequence[str]], owner: str) -> list[Pieces]:
    """Cut texts into pieces by a preprocessor of texts.

    Args:
        preprocessor: one with `tokens` and a method `pieces(texts)`, such as ``text_tokens``, that is fitted.
        texts: texts; or lists of words, each of which has one piece at least.
        owner: the task that asks, for the message.

    Raises:
        UsageError: if the preprocessor has no such method, or no vocabulary yet.
    """
    token_facts(preprocessor, owner)
    if not callable(getattr(preprocessor, "pieces", None)):
        raise UsageError(
            f"task {owner} needs a preprocessor that knows where in a text each token is. Received: "
            f"{type(preprocessor).__name__}. Use text_tokens: --preprocessor text_tokens"
        )
    return list(preprocessor.pieces(texts))


def token_facts(preprocessor: Any, owner: str) -> TokenFacts:
    """What the tokens of a preprocessor mean, or a sentence that it makes none.

    Args:
        preprocessor: any.
        owner: the task that asks.
    """
    return facts(preprocessor, f"task {owner}")


def row_of(parts: Sequence[Ints], found: TokenFacts, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """A row for a token backbone: ``[CLS] first [SEP] second [SEP] ...``, with a channel of segments if there is one.

    Args:
        parts: token numbers of one or two texts; they must fit.
        found: what the numbers mean.
        shape: of a prepared row: ``(length,)``, or ``(channels, length)`` with the segments in the second channel.

    Returns:
        Shape `shape`.

    Example:
        >>> specials = TokenFacts(
        ...     vocabulary=9, mask=4, start=2, end=3, specials=(0, 1, 2, 3, 4), continues=np.zeros(9, bool)
        ... )
        >>> row_of([np.array([5]), np.array([6, 7])], specials, (2, 8)).tolist()
        [[2, 5, 3, 6, 7, 3, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0]]
    """
    row = np.zeros(shape, dtype=np.int32)
    ids, kinds = (row[0], row[1]) if row.ndim == 2 else (row, None)
    ids[0], place = found.start, 1
    for number, part in enumerate(parts):
        end = place + len(part)
        ids[place:end] = part
        ids[end] = found.end
        if kinds is not None:
            kinds[place : end + 1] = number
        place = end + 1
    return row
