"""What data is to kptk: a `Source` that can be read by row number.

Reading by row number is what makes a run resumable: the batch of step 1,234 is a pure function of the seed and the
step, whichever reader stands behind it.
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kptk.columns import Column
from kptk.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


HOW_TO_LABEL = "Use class sub-folders, an .npz with x and y, or a table with its label column: -o data.label=COLUMN"
"""What an error says where labels are missing."""


@dataclass(frozen=True, slots=True)
class BadInput:
    """One input that could not be used.

    Args:
        path: the file, or the row of an array.
        reason: what is wrong with it, in a few words.
    """

    path: str
    reason: str


class Source(abc.ABC):
    """Rows of one kind of input, with labels where they are known. Readers of plugins subclass it.

    Attributes:
        inputs: the kind of input, such as ``"image"``.
        row_shape: shape of one row.
        labels: class number of each row, shape ``(rows,)``, or None.
        targets: what is to be predicted where that is not one class: numbers, several labels, masks; shape
            ``(rows, ...)``, or None.
        class_names: the name of each class number.
        skipped: rows that were left out because they could not be read.
        remarks: what a person who trains on them should know.
        columns: of a table, the name and kind of each column.
        groups: where a task made several rows of one (such as windows of a long text), the row of the data that each came
            from, in order; None if rows are rows. The rows of one group are never parted.
    """

    inputs: str = "image"
    row_shape: tuple[int, ...] = ()
    labels: NDArray[np.int64] | None = None
    targets: NDArray[np.generic] | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[BadInput, ...] = ()
    remarks: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    groups: NDArray[np.int64] | None = None

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abc.abstractmethod
    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch.

        Args:
            rows: row numbers, shape ``(batch,)``.

        Returns:
            The rows in that order, shape ``(batch, *row_shape)``.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when the content changes, so that a resumed run can tell."""

    @abc.abstractmethod
    def describe(self) -> str:
        """One line: what it is, how many rows, their shape."""

    def holdout(self) -> Source | None:
        """The part that is kept for tests by the data set itself, if it has one."""
        return None

    def parts(self) -> dict[str, Source]:
        """The parts of the data by the names that ``--split`` takes: train, which is this, and test if it has one."""
        test = self.holdout()
        return {"train": self} | ({"test": test} if test is not None else {})

    def row_name(self, row: int) -> str:
        """What people call a row: its file, or its number.

        Args:
            row: its number.
        """
        return str(row)

    def notes(self, rows: NDArray[np.int64]) -> list[Any]:
        """What a task that made these rows wants to know of them when it reads their predictions, such as their words.

        Args:
            rows: row numbers.
        """
        return [None] * len(rows)

    def at_epoch(self, epoch: int) -> Source:
        """The rows as pre-training reads them in an epoch: the same in each, unless the data draws some of them anew.

        They must be a function of the epoch and the row number alone, so that an interrupted run ends as it would have.

        Args:
            epoch: counted from 0.
        """
        del epoch
        return self


class ArraySource(Source):
    """Rows that are in memory.

    Args:
        x: the rows, shape ``(rows, ...)``.
        y: class numbers or names, shape ``(rows,)``, or None.
        inputs: the kind of input.
        name: what to call it in messages.
        class_names: names of the classes ``0..``; derived from `y` if empty.
        targets: what is to be predicted where that is not one class, shape ``(rows, ...)``, or None.
        holdout: the test part, if there is one.

    Example:
        >>> import numpy as np
        >>> len(ArraySource(np.zeros((10, 28, 28, 1), "uint8"), inputs="image"))
        10
    """

    def __init__(
        self,
        x: NDArray[np.generic],
        y: NDArray[np.generic] | None = None,
        *,
        inputs: str = "image",
        name: str = "array",
        class_names: Sequence[str] = (),
        targets: NDArray[np.generic] | None = None,
        holdout: Source | None = None,
    ) -> None:
        import numpy as np

        if targets is not None and len(targets) != len(x):
            raise InputError(
                f"{name}: x has {len(x):,} rows but y has {len(targets):,}. Give one label for each row of x."
            )
        self.targets = targets
        if y is not None and len(y) != len(x):
            raise InputError(f"{name}: x has {len(x):,} rows but y has {len(y):,}. Give one label for each row of x.")
        self.inputs = inputs
        self.name = name
        self.row_shape = tuple(int(size) for size in x.shape[1:])
        self._x = x
        self._holdout = holdout
        if y is not None:
            found, codes = np.unique(y, return_inverse=True)
            self.class_names = tuple(class_names) or tuple(str(value) for value in found)
            self.labels = np.asarray(y if class_names else codes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._x)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch."""
        return self._x[rows]

    def fingerprint(self) -> str:
        """Hash of the content."""
        return content_hash(self._x)

    def describe(self) -> str:
        """One line: what it is, how many rows, their shape."""
        count = len(self.class_names)
        labels = f", {count} class{'es' if count != 1 else ''}" if self.labels is not None else ", no labels"
        if self.targets is not None:
            labels = f", targets of {' x '.join(map(str, self.targets.shape[1:])) or 'one number'}"
        shape = " x ".join(map(str, self.row_shape)) or "one value"
        return f"{self.name}: {len(self):,} rows of {shape}{labels}"

    def holdout(self) -> Source | None:
        """The test part, if there is one."""
        return self._holdout


class Subset(Source):
    """Some rows of another source; the whole's test part stays its test part.

    Args:
        source: the whole.
        rows: the row numbers to keep, in the order wanted.
        note: how they were chosen, for messages.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64], note: str) -> None:
        self.inputs = source.inputs
        self.row_shape = source.row_shape
        self.class_names = source.class_names
        self.skipped = source.skipped
        self.remarks = source.remarks
        self.columns = source.columns
        self.labels = None if source.labels is None else source.labels[rows]
        self.targets = None if source.targets is None else source.targets[rows]
        self.groups = None if source.groups is None else source.groups[rows]
        self.whole = source
        self.rows = rows
        self.note = note

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch."""
        return self.whole.read(self.rows[rows])

    def fingerprint(self) -> str:
        """Hash of the whole's fingerprint and of the rows."""
        return hashlib.sha256(self.whole.fingerprint().encode() + self.rows.tobytes()).hexdigest()

    def describe(self) -> str:
        """One line: the whole, and how many rows of it."""
        return f"{self.whole.describe()}; {len(self):,} of them ({self.note})"

    def holdout(self) -> Source | None:
        """The whole's test part."""
        return self.whole.holdout()

    def row_name(self, row: int) -> str:
        """What the whole calls the row."""
        return self.whole.row_name(int(self.rows[row]))

    def notes(self, rows: NDArray[np.int64]) -> list[Any]:
        """The whole's notes on these rows."""
        return self.whole.notes(self.rows[rows])

    def at_epoch(self, epoch: int) -> Source:
        """The same rows of the whole as it is in that epoch."""
        whole = self.whole.at_epoch(epoch)
        return self if whole is self.whole else Subset(whole, self.rows, self.note)


def content_hash(array: NDArray[np.generic]) -> str:
    """Hash of what an array holds, the same in every process.

    Args:
        array: numbers, texts or other objects with a `repr` of their content.
    """
    digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
    for start in range(0, len(array), 4096):
        rows = array[start : start + 4096]
        # An array of objects holds addresses, which are others in each process.
        digest.update(repr(rows.tolist()).encode() if rows.dtype.kind == "O" else rows.tobytes())
    return digest.hexdigest()


def limited(source: Source, limit: int, seed: int) -> Source:
    """Return a seeded random part of a source.

    Args:
        source: the whole.
        limit: how many rows to keep; 0 keeps all.
        seed: decides which.
    """
    if not limit or limit >= len(source):
        return source
    import numpy as np

    rows = np.sort(np.random.default_rng([seed, 7]).choice(len(source), size=limit, replace=False))
    return Subset(source, rows, f"limit, seed {seed}")
