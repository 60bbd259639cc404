"""A corpus as token numbers on disk: made in one pass, read by number, and never in memory as a whole."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk_text.rows import Store
from kptk_text.sentences import sentences

READ_AT_ONCE = 512
"""Texts that are tokenised in one call."""


def batches_of_texts(source: Source, step: int = 1) -> Iterator[list[str]]:
    """Yield the texts of a source, some hundred at a time.

    Args:
        source: raw rows.
        step: every how many rows; 1 for all.
    """
    for start in range(0, len(source), READ_AT_ONCE * step):
        rows = np.arange(start, min(start + READ_AT_ONCE * step, len(source)), step)
        # A row of several texts (words, a question and its text) is read as them, one after the other.
        yield [" ".join(map(str, row)) if isinstance(row, (tuple, list)) else str(row) for row in source.read(rows)]


class TokenStore:
    """The tokens of all texts, one after the other, in a nameless file in the temporary folder.

    Args:
        source: raw rows.
        tokeniser: a `tokenizers.Tokenizer`.
        split: whether each sentence is a unit of its own; otherwise each text is one.
        end: a token that is put behind each unit; 0 for none.

    Attributes:
        tokens: all tokens, a memory map.
        starts: where each unit starts, and the end of the last, shape ``(units + 1,)``.
        texts: the row of each unit, shape ``(units,)``.
    """

    def __init__(self, source: Source, tokeniser: Any, *, split: bool, end: int = 0) -> None:
        dtype = np.uint16 if tokeniser.get_vocab_size() <= np.iinfo(np.uint16).max else np.int32
        store, size, row = Store(), np.dtype(dtype).itemsize, 0
        lengths: list[NDArray[np.int64]] = []
        owners: list[NDArray[np.int64]] = []
        for texts in batches_of_texts(source):
            pieces = [sentences(text) if split else [text] for text in texts]
            flat = [piece for group in pieces for piece in group]
            found = [code.ids for code in tokeniser.encode_batch_fast(flat, add_special_tokens=False)]
            if end:
                found = [[*ids, end] for ids in found]
            owner = np.repeat(np.arange(row, row + len(texts)), [len(group) for group in pieces])
            length = np.array([len(ids) for ids in found], dtype=np.int64)
            store.write(np.array([number for ids in found for number in ids], dtype=dtype).tobytes())
            lengths.append(length[length > 0])
            owners.append(owner[length > 0])
            row += len(texts)
        self.starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        self.texts = np.concatenate(owners)
        if not self.starts[-1]:
            raise InputError(f"{source.describe()}: the tokeniser finds no token in it.")
        store.file.flush()
        self._store = store  # the file lives as long as the map
        view = mmap.mmap(store.file.fileno(), int(self.starts[-1]) * size, access=mmap.ACCESS_READ)
        self.tokens = np.frombuffer(view, dtype=dtype)

    def unit(self, number: int) -> NDArray[np.int64]:
        """The tokens of a unit.

        Args:
            number: of the unit.
        """
        return self.tokens[self.starts[number] : self.starts[number + 1]].astype(np.int64)
