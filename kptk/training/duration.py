"""A time for people to read."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a time for people: ``"45 s"``, ``"3 min 20 s"``, ``"2 h 05 min"``.

    Args:
        seconds: the time.
    """
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
