"""Are the packages of the trackers that a run names installed? Asked before anything is trained or imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import util

from kptk.config import Part
from kptk.errors import UsageError
from kptk.spec import TrackerSpec


def missing_packages(spec: TrackerSpec) -> list[str]:
    """The packages of a tracker that are not installed; nothing is imported.

    Args:
        spec: the tracker.
    """
    return [name for name in spec.needs if util.find_spec(name) is None]


def require_packages(trackers: Mapping[str, Part]) -> None:
    """Raise if a named tracker lacks a package.

    Args:
        trackers: of a configuration, by section.

    Raises:
        UsageError: with the line that installs it.
    """
    for part in _offered(trackers.values()):
        assert part.offer is not None
        missing = missing_packages(part.offer.spec)
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise UsageError(
                f"tracker {part.id} needs {' and '.join(missing)}, which {verb} not installed. "
                f"Install it: python -m pip install '{part.offer.spec.install or ' '.join(missing)}'"
            )


def _offered(parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if part.offer is not None]
