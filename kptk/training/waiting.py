"""`WaitClock`: how much of a run's time its steps waited for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kptk.training.callbacks import RunCallback


class WaitClock(RunCallback):
    """Notes when each batch was ready and when its step could have begun; what lies between is waiting.

    Reading ahead hides slow files as long as they are faster than the steps. Where this share is large, faster steps gain
    nothing: use smaller images, keep them decoded (``-o data.cache=memory``), or a faster disk.

    Args:
        start: steps done before.
        steps_per_epoch: steps of a whole epoch.

    Attributes:
        waited: seconds of the epoch in progress, or of the last one.
    """

    def __init__(self, start: int, steps_per_epoch: int) -> None:
        super().__init__(start, steps_per_epoch)
        self.waited = 0.0
        self._first = start
        self._ready: dict[int, float] = {}
        self._free = time.perf_counter()

    def watched(self, stream: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """The same batches; each is noted when it is handed over.

        Args:
            stream: the batches from the first step on.
        """
        for step, batch in enumerate(stream, self._first):
            self._ready[step] = time.perf_counter()
            yield batch

    def waited_seconds(self) -> float:
        """Seconds that the steps of this epoch waited so far."""
        return self.waited

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start again."""
        del epoch, logs
        self.waited = 0.0
        self._free = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """If the batch is not ready, waiting begins now."""
        del batch, logs
        if self.step not in self._ready:
            self._free = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Add what the step waited."""
        del batch, logs
        self.waited += max(self._ready.pop(self.step, self._free) - self._free, 0.0)
        self.step += 1
        self._free = time.perf_counter()


def waiting_share(records: list[dict[str, Any]]) -> float | None:
    """The share of a run's time that was waited for data, 0 to 1; None where no epoch says.

    Args:
        records: the log of its epochs.
    """
    seconds = sum(record["seconds"] for record in records if "waited" in record)
    return sum(record.get("waited", 0.0) for record in records) / seconds if seconds else None


def waiting_words(share: float | None) -> str:
    """The share in words, for the end of a run; empty if it is not known.

    Args:
        share: 0 to 1.

    Example:
        >>> waiting_words(0.034)
        '3 % of the time was spent waiting for data.'
    """
    if share is None:
        return ""
    advice = " Keep decoded images (-o data.cache=memory) or read smaller ones." if share > 0.3 else ""
    return f"{100 * share:.0f} % of the time was spent waiting for data.{advice}"
