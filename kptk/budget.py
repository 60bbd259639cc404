"""`Budget`: how much pre-training an arm of a comparison gets, in steps, epochs or time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kptk import errors

UNITS = {
    **dict.fromkeys(("step", "steps"), ("steps", 1.0)),
    **dict.fromkeys(("epoch", "epochs"), ("epochs", 1.0)),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("seconds", 1.0)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), ("seconds", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("seconds", 3600.0)),
}
FORM = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$")


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount of training.

    Args:
        amount: how much, above 0.
        unit: ``"steps"``, ``"epochs"`` or ``"seconds"``.

    Example:
        >>> Budget.parse("5minutes")
        Budget(amount=300.0, unit='seconds')
        >>> Budget.parse("20 epochs").steps(rows=1000, batch_size=128)
        140
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``"700steps"``, ``"20epochs"``, ``"5minutes"``, ``"90s"`` or ``"1.5h"``.

        Args:
            text: what the user wrote.

        Raises:
            UsageError: if it is not a positive amount of one of these.
        """
        match = FORM.match(text.lower())
        if not match or match[2] not in UNITS or float(match[1]) <= 0:
            raise errors.bad_value("budget", "an amount such as 700steps, 20epochs, 5minutes or 1h", text)
        unit, factor = UNITS[match[2]]
        amount = float(match[1]) * factor
        if unit == "steps" and amount != int(amount):
            raise errors.bad_value("budget", "a whole number of steps", text)
        return cls(amount, unit)

    def steps(self, *, rows: int, batch_size: int, step_seconds: float = 0.0) -> int:
        """The number of steps that it allows, at least one.

        Args:
            rows: rows of the pre-training data.
            batch_size: rows a step.
            step_seconds: measured time of a step, for a budget of time.
        """
        if self.unit == "epochs":
            return max(round(self.amount * (rows // batch_size)), 1)
        if self.unit == "seconds":
            return max(int(self.amount / step_seconds), 1)
        return int(self.amount)

    def __str__(self) -> str:
        if self.unit != "seconds":
            return f"{self.amount:g} {self.unit}"
        return f"{self.amount / 60:g} minutes" if self.amount >= 60 else f"{self.amount:g} seconds"
