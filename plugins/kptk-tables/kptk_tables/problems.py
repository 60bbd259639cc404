"""What is wrong with a file, row by row: refused at once, or left out and listed."""

from __future__ import annotations

from kptk.data import BadInput
from kptk.errors import InputError

MOST = 100_000
"""Rows left out at most: a file with more is not a table with a few bad rows."""


class Problems:
    """Collects bad rows, or refuses the first one.

    Args:
        path: the file, for messages.
        on_bad_input: ``"error"`` or ``"skip"``.
    """

    def __init__(self, path: str, on_bad_input: str) -> None:
        self.path = path
        self.skip = on_bad_input == "skip"
        self._rows: dict[int, str] = {}

    def add(self, row: int, reason: str, hint: str = "") -> None:
        """Report a bad row.

        Args:
            row: its number, the first row below the header being 1.
            reason: what is wrong, in a few words.
            hint: how to mend it, beside leaving it out.

        Raises:
            InputError: in the mode ``"error"``, or if there are far too many.
        """
        if not self.skip:
            other = f"{hint} Or l" if hint else "Mend the row, or l"
            raise InputError(
                f"{self.path}, row {row:,}: {reason}. {other}eave such rows out and list them: --on-bad-input skip"
            )
        self._rows.setdefault(row, reason)
        if len(self._rows) > MOST:
            raise InputError(f"{self.path}: more than {MOST:,} rows are bad; the first ones: {self._first()}.")

    @property
    def rows(self) -> list[int]:
        """Numbers of the bad rows, in order."""
        return sorted(self._rows)

    @property
    def listed(self) -> tuple[BadInput, ...]:
        """The bad rows as a source lists them."""
        return tuple(BadInput(f"{self.path}, row {row:,}", self._rows[row]) for row in self.rows)

    def _first(self) -> str:
        return "; ".join(f"row {row:,}: {self._rows[row]}" for row in self.rows[:3])
