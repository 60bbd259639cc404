"""The option `groups` of the backbones: how many features each column of a table has."""

from __future__ import annotations

from kptk.errors import bad_value


def sizes(groups: str, features: int) -> list[int]:
    """Read the option.

    Args:
        groups: such as ``"1,1,7"``; empty for one feature a column.
        features: how many features there are.

    Raises:
        UsageError: if the sizes are not whole numbers that make up the features.

    Example:
        >>> sizes("1,1,3", 5)
        [1, 1, 3]
    """
    words = groups.split(",") if groups else ["1"] * features
    found = [int(word) if word.strip().isdigit() else 0 for word in words]
    if not all(found) or sum(found) != features:
        raise bad_value("groups", f"sizes of groups of features that make up {features}, such as 1,1,7", groups)
    return found


def together(found: list[int]) -> list[tuple[int, int, bool]]:
    """Where features are treated together: neighbours that are single numbers, or the features of one group.

    Args:
        found: sizes of the groups.

    Returns:
        Begin, end, and whether they are single numbers.

    Example:
        >>> together([1, 1, 7, 1])
        [(0, 2, True), (2, 9, False), (9, 10, True)]
    """
    parts: list[tuple[int, int, bool]] = []
    start = 0
    for size in found:
        if size == 1 and parts and parts[-1][2]:
            parts[-1] = (parts[-1][0], start + 1, True)
        else:
            parts.append((start, start + size, size == 1))
        start += size
    return parts
