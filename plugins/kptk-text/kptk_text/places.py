"""Where in a text each of its pieces is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kptk.training.pieces import Pieces


def places(code: Any, text: str | Sequence[str], unknown: int) -> Pieces:
    """The pieces of an encoded text, without the spaces that some tokenisers count to them.

    Args:
        code: a `tokenizers.Encoding` without special tokens.
        text: what was encoded: a text, or its words.
        unknown: the token for a word of which nothing is left, such as one of control characters.
    """
    whole = isinstance(text, str)
    rows = []
    for number, (start, end), word in zip(code.ids, code.offsets, code.word_ids, strict=True):
        owner = 0 if whole else int(word)
        written = text if whole else text[owner]
        while start < end and written[start].isspace():
            start += 1  # noqa: PLW2901  byte-level BPE counts the space before a word to it
        rows.append((number, start, end, owner))
    if not whole:
        there = {row[3] for row in rows}
        rows += [(unknown, 0, len(word), place) for place, word in enumerate(text) if place not in there]
        rows.sort(key=lambda row: row[3])  # stable: the pieces of a word stay in order
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Pieces(*table.T)
