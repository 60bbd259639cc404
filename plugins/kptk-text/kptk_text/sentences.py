"""Splits texts into sentences."""

from __future__ import annotations

import re

ABBREVIATIONS = frozenset(
    {
        *(
            "mr",
            "mrs",
            "ms",
            "dr",
            "prof",
            "sr",
            "jr",
            "st",
            "rev",
            "gen",
            "col",
            "capt",
            "lt",
            "sgt",
            "hon",
            "gov",
            "sen",
        ),
        *(
            "vs",
            "etc",
            "e.g",
            "i.e",
            "cf",
            "al",
            "no",
            "vol",
            "fig",
            "eq",
            "ed",
            "eds",
            "pp",
            "ch",
            "sec",
            "ca",
            "approx",
        ),
        *("inc", "ltd", "corp", "co", "bros", "u.s", "u.k", "a.m", "p.m", "b.c", "a.d", "ph.d", "n.b"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
    }
)
"""Words behind which a full stop seldom ends a sentence, in lower case and without it."""
_END = re.compile(r"""([.!?…]+["'”’)\]]*)\s+(?=["'“‘(\[]*[A-Z0-9À-Þ])|([。！？]+)|(\n+)""")
_LAST_WORD = re.compile(r"([\w.]+)\.$")


def sentences(text: str) -> list[str]:
    r"""Split a text at line ends, and behind ``.``, ``!`` and ``?`` where a new sentence begins.

    It is a rule and no model: a full stop behind a common English abbreviation or a single capital letter ends nothing, and a
    sentence begins with a capital letter or a digit.

    Args:
        text: any text.

    Returns:
        The sentences without the spaces between them; no empty ones.

    Example:
        >>> sentences('Dr. Wu met J. Doe at 5 p.m. today. "Why?" asked Doe.')
        ['Dr. Wu met J. Doe at 5 p.m. today.', '"Why?" asked Doe.']
    """
    parts, begin = [], 0
    for match in _END.finditer(text):
        if match.group(1) and _is_abbreviation(text[begin : match.end(1)]):
            continue
        parts.append(text[begin : match.end()].strip())
        begin = match.end()
    parts.append(text[begin:].strip())
    return [part for part in parts if part]


def _is_abbreviation(before: str) -> bool:
    found = _LAST_WORD.search(before[-40:])
    if not found:
        return False
    word = found.group(1)
    return (len(word) == 1 and word.isupper()) or word.lower() in ABBREVIATIONS
