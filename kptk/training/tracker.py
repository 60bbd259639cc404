"""`Tracker`: keeps the figures of a run in the form of another tool. A plugin's tracker is a subclass."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


class Tracker(abc.ABC):
    """Takes what a run says of itself: once at its begin, after every epoch, once at its end.

    Rules. Everything goes into the folder that `begin` names, and nothing over a network. The module of a tracker imports the
    tool's package inside its methods, so that nothing of it is loaded unless a user names the tracker. What it raises is said
    once, and the run goes on without it. An interrupted run begins again in the same folder when it is resumed.

    Example:
        >>> class Printed(Tracker):
        ...     def begin(self, config, folder):
        ...         print("begin", config["objective"]["name"])
        ...
        ...     def log(self, step, metrics):
        ...         print(step, metrics)
        ...
        ...     def end(self, summary, files):
        ...         print(summary["status"], len(files))
        >>> tracker = Printed()
        >>> tracker.begin({"objective": {"name": "contrastive/contrastive"}}, Path("run/trackers/printed"))
        begin contrastive/contrastive
        >>> tracker.log(31, {"loss": 4.2})
        31 {'loss': 4.2}
        >>> tracker.end({"status": "healthy"}, [])
        healthy 0
    """

    @abc.abstractmethod
    def begin(self, config: Mapping[str, Any], folder: Path) -> None:
        """Open the record.

        Args:
            config: the whole configuration of the run, sections of options.
            folder: where to write, ``RUN/trackers/NAME``; empty, or what the interrupted run left there.
        """

    @abc.abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the figures of an epoch.

        Args:
            step: steps done; after a resume, one that was logged before may come again, with the same figures.
            metrics: figures by name, all of them finite.
        """

    @abc.abstractmethod
    def end(self, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Close the record.

        Args:
            summary: what the run came to, as in ``summary.json``; ``{"status": "interrupted"}`` if it did not end.
            files: small files of the run worth keeping beside it: configuration, summary, report.
        """


def run_name(folder: Path) -> str:
    """What the run is called: the name of its folder.

    Args:
        folder: of a tracker, ``RUN/trackers/NAME``.

    Example:
        >>> run_name(Path("runs/digits/trackers/mlflow"))
        'digits'
    """
    return folder.absolute().parents[1].name


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of nested dictionaries by dotted name, lists as one entry.

    Args:
        table: such as a configuration.
        prefix: put before every name.

    Example:
        >>> dict(flat({"train": {"epochs": 2}, "recipe": "mlm"}))
        {'train.epochs': 2, 'recipe': 'mlm'}
    """
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
