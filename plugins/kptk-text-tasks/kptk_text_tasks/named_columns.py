"""Finds the columns of a table that a reader needs."""

from __future__ import annotations

from collections.abc import Sequence

from kptk.errors import InputError
from kptk.tablerows import column_named


def column(
    path: str, names: Sequence[str], wanted: str, option: str, usual: Sequence[str], *, needed: bool = True
) -> str:
    """The name of a column: as the user says, or a usual one.

    Args:
        path: the table, for messages.
        names: its columns.
        wanted: as the user wrote it; empty for a usual one, ``-`` for none.
        option: the reader's option for it.
        usual: names to look for, in this order.
        needed: whether there must be one.

    Returns:
        The name; empty if there is none and none is needed.

    Raises:
        InputError: if it is not there.

    Example:
        >>> column("pairs.csv", ["Question", "text"], "", "question", ("question", "query"))
        'Question'
    """
    if wanted == "-" and not needed:
        return ""
    if wanted:
        return column_named(path, list(names), wanted, option)
    lower = {name.lower(): name for name in reversed(list(names))}
    found = next((lower[name] for name in usual if name in lower), "")
    if not found and needed:
        raise InputError(
            f"{path}: say which column holds the {option}: -o data.{option}=NAME. Its columns: {', '.join(names)}."
        )
    return found
