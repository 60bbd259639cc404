"""Finds plugins and loads them one by one, so that a broken one harms nothing but itself."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from kptk import hookspecs
from kptk.errors import did_you_mean
from kptk.spec import PLURALS, SPECS, Spec

GROUP = "kptk"
ONLY_ENV = "KPTK_PLUGINS"
STRICT_ENV = "KPTK_PLUGINS_STRICT"
HEAVY = ("keras", "tensorflow", "jax", "torch", "numpy", "sklearn")
"""Packages that a plugin must not import while it is being discovered."""

Headers = dict[str, list[str]]
"""Metadata fields by lower-case name, each with every value that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry point in the group ``kptk``: a plugin that is installed, loaded or not."""

    name: str
    distribution: str
    version: str
    value: str
    issues_url: str = ""
    entry_point: metadata.EntryPoint = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """Distribution and version, ``"kptk-x 0.1"``."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a plugin.

    Args:
        plugin: entry-point name.
        label: distribution and version.
        message: the last line of the traceback, or the rule that was broken.
        where: the last line of the plugin's own code in the traceback, as ``file:line``.
        lost: what the plugin cannot offer because of it: ``"all"``, ``"some"`` or ``"nothing"`` (only a warning).
        issues_url: where its author takes reports.
    """

    plugin: str
    label: str
    message: str
    where: str = ""
    lost: str = "all"
    issues_url: str = ""

    @property
    def sentence(self) -> str:
        """One line for a list of problems."""
        verb = "could not be loaded" if self.lost == "all" else "has a problem"
        place = f" at {self.where}" if self.where else ""
        return f"Plugin '{self.plugin}' ({self.label}) {verb} ({self.message}){place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A spec together with who offers it."""

    spec: Any
    plugin: str
    label: str

    @property
    def id(self) -> str:
        """Full id, ``"plugin/name"``."""
        return f"{self.plugin}/{self.spec.name}"


@dataclass(slots=True)
class Loaded:
    """What came of loading one plugin."""

    found: Found
    module: ModuleType | None = None
    milliseconds: float = 0.0
    heavy: tuple[str, ...] = ()
    offers: list[Offer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find() -> tuple[list[Found], list[Problem]]:
    """List the installed plugins by their metadata; nothing of theirs is imported.

    Returns:
        The plugins sorted by name, and a problem for each second distribution that uses a taken entry-point name.
    """
    seen: dict[str, Found] = {}
    problems = []
    candidates = [found for distribution, headers in _distributions() for found in _entry_points(distribution, headers)]
    for found in sorted(candidates, key=lambda item: (item.name, item.distribution)):
        first = seen.setdefault(found.name, found)
        if first.distribution != found.distribution:
            problems.append(
                Problem(
                    plugin=found.name,
                    label=found.label,
                    message=f"its name '{found.name}' is taken by {first.label}; uninstall one of the two",
                    issues_url=found.issues_url,
                )
            )
    return _filtered(list(seen.values())), problems


def _distributions() -> Iterator[tuple[metadata.Distribution, Headers]]:
    """Yield each installed distribution that mentions the entry-point group, once."""
    names = set()
    for distribution in metadata.distributions():
        # A text search first: parsing every package's entry points would cost more than all the rest of `--help`.
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        headers = _headers(distribution)
        name = headers.get("name", [""])[0]
        if name not in names:
            names.add(name)
            yield distribution, headers


def _headers(distribution: metadata.Distribution) -> Headers:
    """The headers of a distribution's metadata, by lower-case name.

    `distribution.metadata` starts the e-mail parser anew for every field that is read, which would take a tenth of the
    time of ``kptk plugins list``; the fields that are needed here are single lines.
    """
    headers: Headers = {}
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    for line in text.splitlines():
        if not line:
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            headers.setdefault(name.lower(), []).append(value.strip())
    return headers


def _entry_points(distribution: metadata.Distribution, headers: Headers) -> Iterator[Found]:
    urls = headers.get("project-url", [])
    issues = [url.partition(",")[2].strip() for url in urls if url.lower().startswith("issues")]
    for entry_point in distribution.entry_points:
        if entry_point.group == GROUP:
            yield Found(
                name=entry_point.name,
                distribution=headers.get("name", [""])[0],
                version=headers.get("version", [""])[0],
                value=entry_point.value,
                issues_url=issues[0] if issues else "",
                entry_point=entry_point,
            )


def _filtered(plugins: list[Found]) -> list[Found]:
    """Apply ``KPTK_PLUGINS``: ``a,b`` only these, ``-a`` all but, empty none. Before anything is imported."""
    setting = os.environ.get(ONLY_ENV)
    if setting is None:
        return plugins
    words = [word.strip() for word in setting.split(",") if word.strip()]
    without = {word[1:] for word in words if word.startswith("-")}
    only = {word for word in words if not word.startswith("-")}
    if without and not only:
        return [plugin for plugin in plugins if plugin.name not in without]
    return [plugin for plugin in plugins if plugin.name in only - without]


def load(found: Found, manager: pluggy.PluginManager) -> Loaded:
    """Import one plugin, register it and collect what it offers; every failure becomes a `Problem`.

    Args:
        found: the plugin.
        manager: a manager that knows kptk's hook specifications.
    """
    loaded = Loaded(found)
    before = {name for name in HEAVY if name in sys.modules}
    start = time.perf_counter()
    try:
        module = found.entry_point.load()
        unknown = list(_unknown_hooks(module, manager))
        if unknown:
            raise LookupError("; ".join(unknown))
        manager.register(module, name=found.name)
    except (Exception, SystemExit) as error:
        loaded.problems.append(_problem(found, error))
    else:
        loaded.module = module
        for kind in SPECS:
            _collect(loaded, kind, manager)
    loaded.milliseconds = 1000 * (time.perf_counter() - start)
    loaded.heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
    if loaded.heavy:
        message = (
            f"it imports {', '.join(loaded.heavy)} at discovery, which slows down every kptk command; "
            "name implementations by string targets instead"
        )
        loaded.problems.append(_rule_broken(found, message, lost="nothing"))
    return loaded


def _unknown_hooks(module: ModuleType, manager: pluggy.PluginManager) -> Iterator[str]:
    known = [f"kptk_{plural}" for plural in PLURALS.values()]
    for name, value in vars(module).items():
        # Only what a decorator marked can be a hook under another name; asking pluggy about every name is slow.
        marked = hasattr(value, f"{hookspecs.PROJECT}_impl") and manager.parse_hookimpl_opts(module, name) is not None
        if name not in known and (marked or (name.startswith("kptk_") and callable(value))):
            yield f"unknown hook '{name}'. {did_you_mean(name, known)}".strip()


def _collect(loaded: Loaded, kind: str, manager: pluggy.PluginManager) -> None:
    """Call one plugin's hook of one kind and keep its well-formed specs."""
    hook = getattr(manager.hook, f"kptk_{PLURALS[kind]}")
    found = loaded.found
    for implementation in hook.get_hookimpls():
        if implementation.plugin is not loaded.module:
            continue
        try:
            specs: Iterable[Spec] = list(implementation.function())
        except Exception as error:
            loaded.problems.append(_problem(found, error, lost="some"))
            continue
        taken: set[str] = set()
        for spec in specs:
            fault = _fault(spec, kind, taken)
            if fault:
                loaded.problems.append(_rule_broken(found, f"kptk_{PLURALS[kind]}: {fault}", lost="some"))
            else:
                taken.update((spec.name, *spec.aliases))
                loaded.offers.append(Offer(spec=spec, plugin=found.name, label=found.label))


def _fault(spec: Any, kind: str, taken: set[str]) -> str:
    expected = SPECS[kind]
    if not isinstance(spec, expected):
        return f"expected a {expected.__name__}, got {type(spec).__name__}"
    if not isinstance(spec.name, str) or not expected.pattern.match(spec.name):
        return f"name {spec.name!r} is not a lower-case identifier"
    if taken & {spec.name, *spec.aliases}:
        return f"the name '{spec.name}' is offered twice"
    return ""


def _rule_broken(found: Found, message: str, *, lost: str) -> Problem:
    return Problem(plugin=found.name, label=found.label, message=message, lost=lost, issues_url=found.issues_url)


def _problem(found: Found, error: BaseException, *, lost: str = "all") -> Problem:
    if os.environ.get(STRICT_ENV):
        raise error
    package = found.value.partition(":")[0].partition(".")[0]
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if package in frame.filename]
    return Problem(
        plugin=found.name,
        label=found.label,
        message=traceback.format_exception_only(error)[-1].strip(),
        where=f"{own[-1].filename}:{own[-1].lineno}" if own else "",
        lost=lost,
        issues_url=found.issues_url,
    )


def new_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows kptk's hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager
