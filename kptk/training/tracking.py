"""Hands the figures of a run to the trackers that its configuration names; none of them can end the run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kptk import runfolder
from kptk.config import Part, RunConfig
from kptk.finetuning import FineTuneConfig
from kptk.plugins import load_target
from kptk.request import is_tracker
from kptk.runfolder import RunFolder
from kptk.training.reporter import Reporter
from kptk.training.tracker import Tracker

FOLDER = "trackers"
FILES = (runfolder.CONFIG, runfolder.SUMMARY, runfolder.REPORT)


class Tracking:
    """The trackers of one run.

    Args:
        parts: those that its configuration names, by section.
        reporter: how the run speaks.

    Raises:
        UsageError: if a tracker refuses an option.
        PluginError: if the code of one cannot be imported.
    """

    def __init__(self, parts: Mapping[str, Part], reporter: Reporter) -> None:
        self.parts = parts
        self.reporter = reporter
        self._made: dict[str, Tracker] = {_name(part): _build(part) for part in parts.values()}
        self._trackers: dict[str, Tracker] = {}
        self._folder: RunFolder | None = None

    @contextlib.contextmanager
    def of(self, config: RunConfig | FineTuneConfig, folder: RunFolder) -> Iterator[None]:
        """Open the records for the length of a run; those that its end did not close are closed as interrupted.

        Args:
            config: the configuration of the run.
            folder: of the run.
        """
        self.begin(config, folder)
        try:
            yield
        finally:
            self.end({"status": "interrupted"})

    def begin(self, config: RunConfig | FineTuneConfig, folder: RunFolder) -> None:
        """Open every record.

        Args:
            config: the configuration of the run.
            folder: of the run.
        """
        self._folder = folder
        sections = [(name, part) for name, part in config.sections() if not is_tracker(name)]
        table = {name: ({"name": part.id} if part.offer else {}) | dict(part.values) for name, part in sections}
        for part in self.parts.values():
            self._try(_name(part), partial(self._open, part, table, folder))

    def _open(self, part: Part, config: Mapping[str, Any], folder: RunFolder) -> None:
        tracker = self._made[_name(part)]
        place = where(folder, _name(part))
        place.mkdir(parents=True, exist_ok=True)
        tracker.begin(config, place)
        self._trackers[_name(part)] = tracker
        self.reporter.line(f"Tracker {part.id} writes to {place}")

    def log(self, record: Mapping[str, Any]) -> None:
        """Hand over an epoch.

        Args:
            record: as in the log of the run; what is not finite stands there as None and is left out.
        """
        figures = {
            key: float(value)
            for key, value in record.items()
            if key != "step" and isinstance(value, int | float) and math.isfinite(value)
        }
        for name, tracker in list(self._trackers.items()):
            self._try(name, partial(tracker.log, int(record["step"]), figures))

    def end(self, summary: Mapping[str, Any]) -> None:
        """Close every record.

        Args:
            summary: what the run came to.
        """
        files = [self._folder.path / name for name in FILES] if self._folder else []
        kept = [path for path in files if path.exists()]
        for name, tracker in list(self._trackers.items()):
            self._try(name, partial(tracker.end, summary, kept))
        self._trackers.clear()

    def _try(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # whatever another tool raises: the run is worth more
            self._trackers.pop(name, None)
            what = str(error).strip().splitlines()
            self.reporter.line(
                f"Warning: tracker {name} failed and is left out from here on ({type(error).__name__}: "
                f"{what[0] if what else ''})"
            )


def _build(part: Part) -> Tracker:
    assert part.offer is not None
    made: Tracker = load_target(part.offer)(**part.values)  # type: ignore[operator]
    return made


def _name(part: Part) -> str:
    assert part.offer is not None
    return str(part.offer.spec.name)


def where(folder: RunFolder, name: str) -> Path:
    """The folder of a tracker.

    Args:
        folder: of the run.
        name: of the tracker.
    """
    return folder.path / FOLDER / name
