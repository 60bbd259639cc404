"""What a column of a table is: its name, and what its cells mean."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER, CATEGORY, FLAG, DATE, TEXT = "number", "category", "flag", "date", "text"

KINDS = (NUMBER, CATEGORY, FLAG, DATE, TEXT)
"""What the cells of a column may mean."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    A source of tables gives its cells as Python objects: a number is a float (NaN where it is missing), a flag is 1.0, 0.0
    or NaN, a category and a text are a str or None, a date is a `datetime.datetime` or None.

    Args:
        name: as it stands in the file.
        kind: one of `KINDS`.
        note: how the kind was found where that is not plain, for people to read.

    Example:
        >>> str(Column("age", "number"))
        'age:number'
    """

    name: str
    kind: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}"
