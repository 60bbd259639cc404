"""`Spec`: what every offer of a plugin has."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from kptk import errors
from kptk.option import Option

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
COMMAND_NAME = re.compile(r"^[a-z][a-z0-9_-]*$")
TARGET = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
SUMMARY_LENGTH = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What every offer has. Plugins yield its subclasses.

    Args:
        name: lower-case identifier, unique within its plugin and kind.
        target: ``"package.module:attribute"``; a class, or a function that returns the object.
        summary: one line of at most 72 characters that ends with a full stop.
        options: its settings.
        references: addresses of the papers, arXiv or DOI.
        aliases: other names it answers to.
        since: version of the plugin that first had it.
        deprecated: what to use instead, empty while it is current.
    """

    kind: ClassVar[str] = ""
    pattern: ClassVar[re.Pattern[str]] = NAME
    """What a name of this kind looks like."""

    name: str
    target: str = ""
    summary: str = ""
    options: tuple[Option, ...] = ()
    references: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    since: str = ""
    deprecated: str = ""

    def option(self, name: str) -> Option:
        """Return the option of that name.

        Raises:
            UsageError: if there is none; the message lists those there are.
        """
        for option in self.options:
            if option.name == name:
                return option
        raise errors.unknown_option(self.name, name, [option.name for option in self.options])

    def load(self) -> Any:
        """Import and return the target: the first moment at which Keras is imported."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def build(self, **arguments: Any) -> Any:
        """Check the options among the arguments and call the target with all of them.

        Args:
            **arguments: options of this spec, and whatever else the target takes (such as ``backbone``).
        """
        known = {option.name: option for option in self.options}
        # An objective's `views` may be an option (how many) and is an argument (the layer that makes them).
        checked = {
            name: known[name].check(value) if name in known and not callable(value) else value
            for name, value in arguments.items()
        }
        return self.load()(**checked)
