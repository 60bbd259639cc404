"""What the user said, before anything is looked up: one form for the command line, a TOML file and a Python call."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kptk import errors

PARTS = {"objective": "objective", "backbone": "backbone", "preprocessor": "preprocessor", "data": "dataset"}
"""The sections that name an offer of a plugin, with the kind of offer."""

TRACKERS = "trackers"
"""The section that holds a table for each tracker; one of them is called ``"trackers.NAME"``."""

SECTIONS = (*PARTS, "train", "probe", TRACKERS)


@dataclass(frozen=True, slots=True)
class Setting:
    """One option as it was written.

    Args:
        key: ``"section.option"``, or a bare option name that only one section has.
        value: a text to parse, or a Python value to check.
        text: whether `value` is text.
    """

    key: str
    value: Any
    text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that was asked for; later settings win.

    Args:
        recipe: name of a recipe or plugin.
        names: the part named for a section, ``{"backbone": "resnet18"}``.
        data: a path or the name of a data set.
        settings: options, in the order in which they were given.
    """

    recipe: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    settings: tuple[Setting, ...] = ()

    @property
    def given_data(self) -> set[str]:
        """Names of the options that were set for the data."""
        keys = [setting.key.rpartition(".") for setting in self.settings if setting.value != ""]
        return {name for section, _, name in keys if section == "data"}

    def over(self, base: Request) -> Request:
        """Return `base` with this request's words put over it.

        Where they name another part, or other data, the options that `base` sets for the old one go with it.
        """
        replaced = {section for section, name in self.names.items() if name != base.names.get(section)}
        if self.data:
            replaced.add("data")
        kept = tuple(setting for setting in base.settings if setting.key.partition(".")[0] not in replaced)
        return Request(
            recipe=self.recipe or base.recipe,
            names={**base.names, **self.names},
            data=self.data or base.data,
            settings=(*kept, *self.settings),
        )

    def with_settings(self, settings: Iterable[Setting]) -> Request:
        """Return a copy with more settings at the end."""
        return replace(self, settings=(*self.settings, *settings))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file.

    Raises:
        InputError: if it is missing or is not TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise errors.InputError(f"no configuration file at {path}. Write one: kptk train --print-config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise errors.InputError(f"{path} is not a readable TOML file: {error}") from None


def from_toml(path: str | Path) -> Request:
    """Read a configuration file.

    Args:
        path: a file as ``--print-config`` writes it; any key may be left out.

    Raises:
        InputError: if the file is missing or is not TOML.
        UsageError: if it has a section that does not exist.
    """
    return from_table(read_toml(path), str(path))


def from_run(path: str | Path) -> Request:
    """Read the configuration of a run for what it trained, without its trackers.

    Args:
        path: its configuration file.
    """
    return without_trackers(from_toml(path))


def without_trackers(said: Request) -> Request:
    """Leave out trackers, which somebody who uses what a run trained need not have installed.

    Args:
        said: the configuration of a run.
    """
    names = {section: name for section, name in said.names.items() if not is_tracker(section)}
    return replace(
        said, names=names, settings=tuple(setting for setting in said.settings if not is_tracker(setting.key))
    )


def is_tracker(section: str) -> bool:
    """Whether a section is that of a tracker.

    Args:
        section: such as ``"trackers.tensorboard"``.
    """
    return section.partition(".")[0] == TRACKERS


def tracker_names(trackers: Iterable[str]) -> dict[str, str]:
    """The names of a request that ask for trackers.

    Args:
        trackers: short names or full ids.

    Example:
        >>> tracker_names(["trackers/mlflow"])
        {'trackers.mlflow': 'trackers/mlflow'}
    """
    return {f"{TRACKERS}.{name.rpartition('/')[2].replace('-', '_')}": name for name in trackers}


def from_table(
    table: Mapping[str, Any],
    origin: str,
    *,
    sections: Sequence[str] = SECTIONS,
    parts: Mapping[str, str] = PARTS,
    head: str = "recipe",
) -> Request:
    """Read a configuration that is already a nested dictionary.

    Args:
        table: sections with their options.
        origin: what to call it in messages.
        sections: the sections that it may have.
        parts: those that name an offer.
        head: the key above the sections, which becomes the request's `recipe`.

    Raises:
        UsageError: if it has a section that does not exist.
    """
    names: dict[str, str] = {}
    settings: list[Setting] = []
    for section, content in table.items():
        if section == head:
            continue
        if section not in sections or not isinstance(content, Mapping):
            hint = errors.did_you_mean(section, (*sections, head))
            raise errors.UsageError(
                f"{origin} has no section '{section}'; it may have: {head}, {', '.join(sections)}. {hint}".rstrip()
            )
        if section == TRACKERS:
            for tracker, options in content.items():
                _read_tracker(f"{TRACKERS}.{tracker}", options, origin, names, settings)
            continue
        for key, value in content.items():
            if key == "name" and section in parts:
                names[section] = str(value)
            else:
                settings.append(Setting(f"{section}.{key}", value))
    return Request(recipe=str(table.get(head, "")), names=names, settings=tuple(settings))


def _read_tracker(section: str, content: Any, origin: str, names: dict[str, str], settings: list[Setting]) -> None:
    if not isinstance(content, Mapping):
        tracker = section.partition(".")[2]
        raise errors.UsageError(
            f"{origin}: a tracker is a section of its own. Write [{TRACKERS}.{tracker}]. Received: {tracker} = {content!r}."
        )
    names[section] = str(content.get("name", section.partition(".")[2]))
    settings += [Setting(f"{section}.{key}", value) for key, value in content.items() if key != "name"]


def parse_setting(text: str) -> Setting:
    """Read one ``-o part.option=value``.

    Args:
        text: what stood after the flag.

    Raises:
        UsageError: if there is no ``=``.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise errors.UsageError(f"-o takes part.option=value. Received: '{text}'. Example: -o temperature=0.2")
    return Setting(key.strip(), value.strip(), text=True)
