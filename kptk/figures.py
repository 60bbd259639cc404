"""The figures of runs: found, ranked, and set against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kptk.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from kptk.registry import Record

LOWER_IS_BETTER = (
    *("loss", "error", "mse", "mae", "rmse", "perplexity", "eer", "seconds", "steps", "divergence", "distance"),
    *("bytes", "memory"),
)


def numbers(table: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every finite number of nested dictionaries by dotted name, ``{"test.accuracy": 0.9}``; lists are left out.

    Args:
        table: nested dictionaries.
        prefix: put before each name.
    """
    found: dict[str, float] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[f"{prefix}{key}"] = value
    return found


def lower_is_better(metric: str) -> bool:
    """Whether a smaller number of a metric is the better one, by its name.

    Args:
        metric: such as ``"loss"`` or ``"test.accuracy"``.
    """
    words = metric.replace(".", "_").lower().split("_")
    return any(word in LOWER_IS_BETTER for word in words)


def best(records: Sequence[Record], metric: str, *, lowest: bool | None = None) -> list[tuple[Record, float]]:
    """Order runs by a figure, the best first; runs without it are left out.

    Args:
        records: the runs.
        metric: its dotted name, or the last part of it if that is enough.
        lowest: whether the lowest is the best; None decides by the metric's name.

    Raises:
        UsageError: if no run has it, or it can mean several.
    """
    known = sorted({name for record in records for name in record.figures})
    names = [metric] if metric in known else [name for name in known if name.rpartition(".")[2] == metric]
    if len(names) > 1:
        raise UsageError(f"'{metric}' can mean {', '.join(names)}. Say which: --by {names[0]}")
    if not names:
        hint = did_you_mean(metric, known) or (f"There is: {', '.join(known)}." if known else "No run has any figure.")
        raise UsageError(f"no run has a figure '{metric}'. {hint}")
    rows = [(record, record.figures[names[0]]) for record in records if names[0] in record.figures]
    ascending = lower_is_better(names[0]) if lowest is None else lowest
    return sorted(rows, key=lambda row: row[1], reverse=not ascending)


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names.

    Args:
        table: nested dictionaries.
        prefix: put before each name.
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """In which keys two nested dictionaries differ: name, first value, second value; None where one has none.

    Args:
        first: one.
        second: the other.
    """
    left, right = flat(first), flat(second)
    keys = [*left, *(key for key in right if key not in left)]
    return [(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]
