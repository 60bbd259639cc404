"""`temporary_plugins`: plugins that exist in memory for the length of a `with` block."""

from __future__ import annotations

import contextlib
import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TYPE_CHECKING
from unittest import mock

from kptk import discovery
from kptk.discovery import GROUP, Found, Problem
from kptk.errors import UsageError
from kptk.hookspecs import hookimpl
from kptk.plugins import Plugins
from kptk.spec import PLURALS, SPECS, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = "0+temporary"
NAME = "temporary"
"""The plugin that offers the specs that were given without a module."""


@contextlib.contextmanager
def temporary_plugins(*plugins: ModuleType | Spec) -> Iterator[Plugins]:
    """Add plugins that are not installed; every `Plugins` made inside the block finds them.

    Args:
        *plugins: modules with hooks, each a plugin called by its name without ``kptk_``; and specs, which
            together are one plugin called ``"temporary"``.

    Yields:
        A registry with the installed and the temporary plugins.

    Raises:
        UsageError: if a name is that of an installed plugin.

    Example:
        >>> from kptk import BackboneSpec
        >>> spec = BackboneSpec(name="identity", target="my_module:identity", summary="Does nothing.")
        >>> with temporary_plugins(spec) as registry:
        ...     registry.find("backbone", "identity").id
        'temporary/identity'
    """
    modules = [item for item in plugins if isinstance(item, ModuleType)]
    specs = [item for item in plugins if not isinstance(item, ModuleType)]
    if specs:
        modules.append(_module_of(specs))
    names = {module.__name__.removeprefix("kptk_"): module for module in modules}
    taken = sorted(names.keys() & {found.name for found in discovery.find()[0]})
    if taken:
        raise UsageError(f"a plugin called '{taken[0]}' is installed. Give the temporary module another name.")
    extra = [_found(name, module) for name, module in names.items()]
    find = discovery.find

    def find_all() -> tuple[list[Found], list[Problem]]:
        installed, problems = find()
        return sorted([*installed, *extra], key=lambda item: item.name), problems

    # Entry points import by name, so the modules have to be importable; both changes end with the block.
    added = [module for module in modules if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in added})
    try:
        with mock.patch.object(discovery, "find", find_all):
            yield Plugins()
    finally:
        for module in added:
            del sys.modules[module.__name__]


def is_temporary(found: Found) -> bool:
    """Whether a plugin exists in this process only.

    Args:
        found: the plugin.
    """
    return found.version == VERSION


def _found(name: str, module: ModuleType) -> Found:
    return Found(
        name=name,
        distribution=f"kptk-{name.replace('_', '-')}",
        version=VERSION,
        value=module.__name__,
        entry_point=EntryPoint(name=name, value=module.__name__, group=GROUP),
    )


def _module_of(specs: list[Spec]) -> ModuleType:
    module = ModuleType(f"kptk_{NAME}")
    for kind in SPECS:
        own = [spec for spec in specs if spec.kind == kind]
        if own:
            setattr(module, f"kptk_{PLURALS[kind]}", hookimpl(_hook(own), specname=f"kptk_{PLURALS[kind]}"))
    return module


def _hook(specs: list[Spec]) -> Callable[[], list[Spec]]:
    def offer() -> list[Spec]:
        return specs

    return offer
