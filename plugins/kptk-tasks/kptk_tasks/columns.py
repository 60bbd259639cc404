"""Columns of labels, one for each of several tasks, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

from kptk.errors import UsageError

NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column:
    """One of the tasks.

    Args:
        name: what it is called in predictions and figures.
        classes: number of classes; 0 for a number.
        start: where its outputs begin among all outputs.
    """

    name: str
    classes: int
    start: int

    @property
    def outputs(self) -> slice:
        """Its place among all outputs."""
        return slice(self.start, self.start + max(self.classes, 1))


def parse_columns(text: str) -> tuple[Column, ...]:
    """Read ``"digit:10,slant:number"``; a name alone is a number.

    Args:
        text: names with their number of classes, separated by commas.

    Returns:
        One column a task.

    Raises:
        UsageError: if it is something else.

    Example:
        >>> [(column.name, column.classes, column.start) for column in parse_columns("digit:10,slant:number")]
        [('digit', 10, 0), ('slant', 0, 10)]
    """
    columns: list[Column] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, kind = part.partition(":")
        kind = kind.strip() or NUMBER
        if kind != NUMBER and not (kind.isdigit() and int(kind) >= 2):
            raise UsageError(
                f"`tasks` must say for each column its number of classes, 2 or more, or 'number'. Received: {part!r}. "
                "Such as: -o task.tasks=digit:10,slant:number"
            )
        classes = 0 if kind == NUMBER else int(kind)
        columns.append(Column(name.strip(), classes, columns[-1].outputs.stop if columns else 0))
    names = [column.name for column in columns]
    if len(set(names)) < len(names) or not all(names):
        raise UsageError(f"`tasks` must give every column a name of its own. Received: {text!r}.")
    return tuple(columns)
