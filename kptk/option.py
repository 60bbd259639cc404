"""`Option`: one setting of a part, with its type, bounds and meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kptk import errors

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_KINDS_OF_VALUE = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a part: its name, type, default, bounds and meaning.

    Args:
        name: the keyword argument of the target that it sets.
        type: `int`, `float`, `bool` or `str`.
        default: used when the user says nothing; equal to the target's own default.
        help: what it does, with its unit.
        choices: the only values allowed, if not empty.
        low: the smallest value allowed.
        high: the largest value allowed.
        above: a bound that the value must exceed (for a value that must be positive, ``above=0``).
        objects: whether a Python call may also give an object that has no text form, such as a model.

    Example:
        >>> Option(name="temperature", default=0.1, above=0).parse("0.2")
        0.2
    """

    name: str
    type: type = float
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    objects: bool = False

    @property
    def rule(self) -> str:
        """The end of the sentence "`name` must be ..."."""
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        bounds = [
            text
            for bound, text in (
                (self.above, f"above {self.above:g}" if self.above is not None else ""),
                (self.low, f"at least {self.low:g}" if self.low is not None else ""),
                (self.high, f"at most {self.high:g}" if self.high is not None else ""),
            )
            if bound is not None
        ]
        return " ".join(filter(None, (_KINDS_OF_VALUE[self.type], " and ".join(bounds))))

    def parse(self, text: str) -> Any:
        """Turn the text of a command line into a checked value.

        Args:
            text: what stood after the ``=``.

        Returns:
            A value of `type`.

        Raises:
            UsageError: if the text is not such a value or breaks a bound.
        """
        if self.default is None and text.lower() == "none":
            return None
        if self.type is bool:
            word = text.lower()
            if word not in _TRUE | _FALSE:
                raise errors.bad_value(self.name, self.rule, text)
            return word in _TRUE
        try:
            value = self.type(text)
        except ValueError:
            raise errors.bad_value(self.name, self.rule, text) from None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return the value as `type` if it keeps the rule.

        Args:
            value: a Python value, from TOML or a call.

        Raises:
            UsageError: if it has another type or breaks a bound.
        """
        if value is None and self.default is None:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        right_type = isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))
        if not right_type or (self.choices and value not in self.choices) or not self._in_bounds(value):
            raise errors.bad_value(self.name, self.rule, value)
        return value

    def _in_bounds(self, value: Any) -> bool:
        if self.type not in (int, float):
            return True
        return (
            not math.isnan(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )
