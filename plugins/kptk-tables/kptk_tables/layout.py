"""`Layout`: how the cells of a table become numbers, and these numbers features. All of it is JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER
from kptk.errors import InputError
from kptk_tables.dates import date_parts
from kptk_tables.encoding import NOTHING, bucket, codes_of

ONE_HOT, BITS = "onehot", "bits"
"""What the features of a group are, beside `NUMBER`: one of several is 1, or each is 0 or 1."""


@dataclass(slots=True, kw_only=True)
class Fitted:
    """One column and what was learned of it.

    Args:
        name: of the column.
        kind: what its cells mean.
        parts: of a date, those that differ between the training rows; of any other column, itself.
        values: the names that the codes of a category stand for.
        missing: code of a missing name.
        unknown: code of a name that is not among `values`; None to refuse it.
        buckets: how many buckets the names are hashed into; 0 for none.
        refuse_missing: whether a missing number is refused.
    """

    name: str
    kind: str
    parts: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    missing: int = NOTHING
    unknown: int | None = NOTHING
    buckets: int = 0
    refuse_missing: bool = False

    @property
    def count(self) -> int:
        """How many codes a category has."""
        return self.buckets + (self.missing >= 0) if self.buckets else len(self.values)

    @property
    def width(self) -> int:
        """How many numbers a cell becomes."""
        return len(self.parts) if self.kind == DATE else 1

    def prepare(self, cells: NDArray[Any]) -> NDArray[np.float32]:
        """Turn cells into numbers, shape ``(rows, width)``; NaN for what is missing, codes for names.

        Args:
            cells: of this column, shape ``(rows,)``.

        Raises:
            InputError: if a cell is refused by the policy, or is not of the column's kind.
        """
        if self.kind == CATEGORY:
            return self._codes(cells)[:, None]
        try:
            if self.kind == DATE:
                parts = date_parts(cells)
                columns = [parts[part] for part in self.parts]
                numbers = np.stack(columns, axis=1) if columns else np.empty((len(cells), 0))
            else:
                numbers = cells.astype(np.float64)[:, None]
        except (TypeError, ValueError) as error:
            what = {NUMBER: "numbers", FLAG: "numbers of 0 and 1", DATE: "dates"}[self.kind]
            raise InputError(f"column '{self.name}' must hold {what}, as in training. Received: {error}.") from None
        if self.refuse_missing and np.isnan(numbers).any():
            raise InputError(f"column '{self.name}' has a missing cell, which `missing='error'` refuses.")
        return numbers.astype(np.float32)

    def _codes(self, cells: NDArray[Any]) -> NDArray[np.float32]:
        names = [None if cell is None or cell != cell else str(cell) for cell in cells.tolist()]  # noqa: PLR0124  # NaN
        if self.buckets:
            hashed = [self.missing if name is None else bucket(name, self.buckets) for name in names]
            return np.array(hashed, dtype=np.float32)
        index = {name: code for code, name in enumerate(self.values)}
        if self.unknown is None:
            strange = next((name for name in names if name is not None and name not in index), None)
            if strange is not None:
                raise InputError(
                    f"column '{self.name}' holds '{strange}', which no training row has and `unknown='error'` refuses."
                )
        return codes_of(names, index, self.missing, NOTHING if self.unknown is None else self.unknown)


@dataclass(slots=True, kw_only=True)
class Group:
    """Features that belong together: those of one number, of one code.

    Args:
        column: place of the column.
        kind: ``"number"``, ``"bits"`` or ``"onehot"``.
        names: of the features.
    """

    column: int
    kind: str
    names: list[str]

    @property
    def size(self) -> int:
        """How many features it has."""
        return len(self.names)


@dataclass(slots=True, kw_only=True)
class Layout:
    """Everything that was learned of a table.

    The numbers of a prepared row stand in the order of the columns. The features stand in blocks: scaled numbers, what was
    missing, flags, cycles of dates, codes.

    Args:
        columns: the columns that are used.
        scaled: places of the numbers that are scaled.
        fillers: what stands for a missing one, of each of them.
        centre: of each of them, see `kptk_tables.scaling`.
        scale: of each of them.
        knots: of each of them, for the quantile scalings; else empty.
        marked: those of `scaled` that get a feature that says whether they were missing.
        flags: places of the flags.
        flag_fillers: what stands for a missing one.
        cycles: place and part of each number that comes again.
        codes: place and count of each code.
        groups: the features, in their order.
        mean: of each feature over training rows.
        variance: of each feature over training rows.
    """

    columns: list[Fitted]
    scaled: list[int] = field(default_factory=list)
    fillers: list[float] = field(default_factory=list)
    centre: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    knots: list[list[float]] = field(default_factory=list)
    marked: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    flag_fillers: list[float] = field(default_factory=list)
    cycles: list[tuple[int, str]] = field(default_factory=list)
    codes: list[tuple[int, int]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Layout:
        """Rebuild it.

        Args:
            state: what `to_dict` returned, perhaps after JSON.
        """
        state = dict(state)
        state["columns"] = [Fitted(**column) for column in state["columns"]]
        state["groups"] = [Group(**group) for group in state["groups"]]
        for key in ("cycles", "codes"):
            state[key] = [tuple(pair) for pair in state[key]]
        return cls(**state)

    @property
    def slots(self) -> list[int]:
        """The column of each number of a prepared row."""
        return [place for place, column in enumerate(self.columns) for _ in range(column.width)]

    @property
    def owners(self) -> list[int]:
        """The column of each feature."""
        return [group.column for group in self.groups for _ in range(group.size)]

    @property
    def feature_names(self) -> list[str]:
        """A name for each feature: the column, and what of it."""
        return [name for group in self.groups for name in group.names]

    def prepare(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Turn rows of cells into rows of numbers.

        Args:
            rows: shape ``(rows, columns)``.
        """
        parts = [column.prepare(rows[:, place]) for place, column in enumerate(self.columns)]
        return np.concatenate(parts, axis=1)


def places(names: Sequence[str], wanted: Sequence[str], source: str) -> list[int]:
    """Where the columns that were learned are in other data, by name.

    Args:
        names: the columns of the other data.
        wanted: those that were learned.
        source: the other data in words.

    Raises:
        InputError: if one is not there.
    """
    missing = [name for name in wanted if name not in names]
    if missing:
        more = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise InputError(
            f"{source}: the column '{missing[0]}'{more}, which the model learned from, is not there. "
            f"There is: {', '.join(names[:30])}."
        )
    return [list(names).index(name) for name in wanted]
