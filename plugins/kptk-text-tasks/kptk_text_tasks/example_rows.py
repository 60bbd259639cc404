"""Examples as a reader found them, and the rows that a task makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import ArraySource, BadInput, Source, content_hash
from kptk.errors import InputError
from kptk.training.examples import objects

Array = NDArray[Any]


class ExampleRows(ArraySource):
    """Examples in memory: words, questions with their texts, pairs of texts.

    Args:
        rows: the examples.
        answers: what is to be predicted of each; None where nobody knows.
        name: what to call them in messages.
        what: what one is called, in the plural.
        files: a name of each, such as the number of a question; empty for none.
        skipped: what could not be used.
        holdout: the test part, if there is one.

    Raises:
        InputError: if there is none.

    Example:
        >>> len(ExampleRows([("a", "b"), ("c",)], [("O", "O"), ("O",)], name="words", what="sentences"))
        2
    """

    def __init__(
        self,
        rows: Sequence[Any],
        answers: Sequence[Any] | None,
        *,
        name: str,
        what: str,
        files: Sequence[str] = (),
        skipped: Sequence[BadInput] = (),
        holdout: Source | None = None,
    ) -> None:
        if not len(rows):
            raise InputError(f"{name} holds no {what}{f' ({len(skipped):,} unusable)' if skipped else ''}.")
        known = answers is not None and any(answer is not None for answer in answers)
        targets = objects(list(answers)) if known and answers is not None else None
        super().__init__(objects(list(rows)), inputs="text", name=name, targets=targets, holdout=holdout)
        self.what = what
        self.skipped = tuple(skipped)
        self.names = list(files)

    def row_name(self, row: int) -> str:
        """What the file calls the example, or its number."""
        return self.names[row] if self.names else str(row)

    def describe(self) -> str:
        """One line: what they are and how many."""
        known = 0 if self.targets is None else sum(answer is not None for answer in self.targets)
        answers = "" if known == len(self) else ", without answers" if not known else f", {known:,} with an answer"
        left = f"; {len(self.skipped):,} unusable left out" if self.skipped else ""
        return f"{self.name}: {len(self):,} {self.what}{answers}{left}"


class ModelRows(Source):
    """Rows of token numbers that a task made of examples.

    Args:
        raw: the examples.
        rows: token numbers, shape ``(rows, ...)``.
        targets: what is to be predicted, as the task takes it; None if nobody knows.
        groups: the example that each row came from.
        notes: what the task wants to know of each row when it reads predictions.
        again: makes rows of other examples in the same way, for the test part.
        note: what was done to the examples, for `describe`.
    """

    inputs = "text"

    def __init__(
        self,
        raw: Source,
        rows: Array,
        targets: Array | None,
        groups: Sequence[int],
        notes: Sequence[Any],
        again: Callable[[Source], Source],
        note: str = "",
    ) -> None:
        self.raw = raw
        self.row_shape = tuple(rows.shape[1:])
        self.targets = targets
        self.groups = self._origins = np.asarray(groups, dtype=np.int64)
        self.skipped = raw.skipped
        self.note = note
        self._rows = rows
        self._notes = notes
        self._again = again

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch."""
        return self._rows[rows]

    def notes(self, rows: NDArray[np.int64]) -> list[Any]:
        """What the task noted of some rows."""
        return [self._notes[int(row)] for row in rows]

    def row_name(self, row: int) -> str:
        """What the data calls the example that the row came from."""
        return self.raw.row_name(int(self._origins[row]))

    def fingerprint(self) -> str:
        """Hash of the examples and of the rows made of them."""
        return hashlib.sha256(f"{self.raw.fingerprint()}{content_hash(self._rows)}".encode()).hexdigest()

    def describe(self) -> str:
        """One line: the examples, and what was made of them."""
        return f"{self.raw.describe()}{f'; {self.note}' if self.note else ''}"

    def holdout(self) -> Source | None:
        """The test part, made in the same way."""
        part = self.raw.holdout()
        return None if part is None else self._again(part)


def read_all(source: Source) -> list[Any]:
    """Every raw example of a source.

    Args:
        source: any.
    """
    return list(source.read(np.arange(len(source))))


def answers_of(source: Source) -> list[Any]:
    """The answer to each example, None where nobody knows.

    Args:
        source: raw examples.
    """
    return [None] * len(source) if source.targets is None else list(source.targets)
