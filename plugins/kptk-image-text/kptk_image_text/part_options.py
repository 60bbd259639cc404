"""Options of a part within another part, written in one text: ``crop=0.5,flip=0``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kptk.errors import UsageError, unknown_option
from kptk.plugins import Plugins


def part_options(kind: str, name: str, text: str, option: str) -> dict[str, Any]:
    """Read and check the options of a named part.

    Args:
        kind: of the part, such as ``"backbone"``.
        name: of the part.
        text: ``"name=value,name=value"``; empty for none.
        option: the option that `text` was given for, for messages.

    Returns:
        Values by name, of the types that the part wants.

    Raises:
        UsageError: if it is of another form, or the part has no such option.

    Example:
        >>> part_options("backbone", "resnet18", "width=16, stem=small", "image_options")
        {'width': 16, 'stem': 'small'}
    """
    offer = Plugins().find(kind, name)
    known = {item.name: item for item in offer.spec.options}
    found: dict[str, Any] = {}
    for word in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"`{option}` must be name=value,name=value. Received: {text!r}.")
        if key.strip() not in known:
            raise unknown_option(f"{offer.id} (`{option}`)", key.strip(), list(known))
        found[key.strip()] = known[key.strip()].parse(value.strip())
    return found


def told(kind: str, name: str, given: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Options with facts added that a part wants to be told, where it has options of these names and none was given.

    Args:
        kind: of the part.
        name: of the part.
        given: what the user said.
        facts: what is known besides.
    """
    known = {item.name for item in Plugins().find(kind, name).spec.options}
    return {key: value for key, value in facts.items() if key in known} | dict(given)
