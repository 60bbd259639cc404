"""`TensorBoard`: event files that TensorBoard shows, written without TensorFlow's own writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kptk.training.tracker import Tracker, flat


class TensorBoard(Tracker):
    """Writes a scalar for each figure, and configuration and result as tables of text.

    Look at it with ``tensorboard --logdir runs``. A resumed run adds an event file, which TensorBoard joins to the first.

    Example:
        >>> tracker = TensorBoard()
        >>> tracker.begin({"train": {"epochs": 1}}, Path("run/trackers/tensorboard"))  # doctest: +SKIP
        >>> tracker.log(31, {"loss": 4.2})  # doctest: +SKIP

    References:
        https://www.tensorflow.org/tensorboard
    """

    def __init__(self) -> None:
        self._writer: Any = None

    def begin(self, config: Mapping[str, Any], folder: Path) -> None:
        """Open an event file."""
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))
        self._add(0, _text("configuration", config))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a scalar for each figure."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()]))
        self._writer.flush()

    def end(self, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Add the result and close the file."""
        del files  # they are in the folder above
        self._add(int(summary.get("steps") or 0), _text("result", summary))
        self._writer.close()

    def _add(self, step: int, summary: Any) -> None:
        import time

        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _text(tag: str, table: Mapping[str, Any]) -> Any:
    """A summary of TensorBoard's text view: a Markdown table."""
    from tensorboard.plugins.text.summary_v2 import text_pb

    rows = [f"| {name} | {_cell(value)} |" for name, value in flat(table)]
    return text_pb(tag, "\n".join(["| | |", "| --- | --- |", *rows]))


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.replace("|", "\\|").replace("\n", " ")
