"""Loads one plugin in a process of its own and prints what happened as JSON.

Run it as ``python -m kptk.testing.discovery_report NAME``.

The process imports nothing but kptk's light core, so whatever heavy is there afterwards came from the plugin.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from kptk import discovery
from kptk.spec import PLURALS

if TYPE_CHECKING:
    from types import ModuleType


def report(name: str) -> dict[str, Any]:
    """Load a plugin and say what it did.

    Args:
        name: entry-point name.

    Returns:
        Whether it is installed, its problems, the heavy packages it imported, its hooks that kptk does not know,
        and for each kind the names that it offers, aliases included, repeated if they are offered repeatedly.
    """
    found = next((item for item in discovery.find()[0] if item.name == name), None)
    if found is None:
        return {"installed": False}
    loaded = discovery.load(found, discovery.new_manager())
    module = loaded.module or _imported(found)
    return {
        "installed": True,
        "problems": [problem.sentence for problem in loaded.problems if problem.lost != "nothing"],
        "heavy": list(loaded.heavy),
        "unknown_hooks": _unknown_hooks(module) if module else [],
        "names": {kind: _names(module, plural) for kind, plural in PLURALS.items()} if loaded.module and module else {},
    }


def _imported(found: discovery.Found) -> ModuleType | None:
    try:
        module: ModuleType = found.entry_point.load()
    except (Exception, SystemExit):
        return None
    return module


def _unknown_hooks(module: ModuleType) -> list[str]:
    known = {f"kptk_{plural}" for plural in PLURALS.values()}
    named = [name for name in dir(module) if name.startswith("kptk_") and callable(getattr(module, name))]
    marked = [name for name in dir(module) if hasattr(getattr(module, name), "kptk_impl")]
    return sorted({*named, *marked} - known)


def _names(module: ModuleType, plural: str) -> list[str]:
    hook = getattr(module, f"kptk_{plural}", None)
    if hook is None:
        return []
    try:
        return [name for spec in hook() for name in (spec.name, *spec.aliases)]
    except Exception:
        return []  # what went wrong is among the problems


if __name__ == "__main__":
    print(json.dumps(report(sys.argv[1])))
