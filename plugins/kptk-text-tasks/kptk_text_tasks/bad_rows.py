"""Refuses what cannot be used, or leaves it out and lists it."""

from __future__ import annotations

from kptk.data import BadInput
from kptk.errors import InputError

ADVICE = "Mend or remove it, or leave it out: -o data.on_bad_input=skip"


class BadRows:
    """Collects what a reader could not use.

    Args:
        on_bad_input: ``"error"`` refuses it, ``"skip"`` leaves it out and lists it.
    """

    def __init__(self, on_bad_input: str) -> None:
        self.on_bad_input = on_bad_input
        self.found: list[BadInput] = []

    def add(self, where: str, reason: str, advice: str = ADVICE) -> None:
        """Refuse or note an example.

        Args:
            where: file and line or row.
            reason: what is wrong with it.
            advice: what to do about it.

        Raises:
            InputError: unless bad input is skipped.
        """
        if self.on_bad_input == "error":
            raise InputError(f"{where}: {reason}. {advice}")
        self.found.append(BadInput(where, reason))
