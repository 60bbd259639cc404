"""The batches of a run, as a pure function of the seed and the step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source

WORKERS = 2
AHEAD = 4
"""How many batches are read ahead: enough to hide a slow file, few enough to keep memory flat."""


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """How many whole batches an epoch has; the remainder of each epoch's order is left out.

    Args:
        rows: rows of the data.
        batch_size: rows a step.
    """
    return rows // batch_size


def batch_rows(rows: int, batch_size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The row numbers of one step's batch.

    Args:
        rows: rows of the data.
        batch_size: rows a step.
        seed: of the run.
        step: counted from 0 over the whole run.

    Returns:
        Shape ``(batch_size,)``: a slice of the epoch's own permutation.
    """
    epoch, place = divmod(step, steps_per_epoch(rows, batch_size))
    start = place * batch_size
    return _order(rows, seed, epoch)[start : start + batch_size]


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(rows)


def read_step(source: Source, batch_size: int, seed: int, step: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The row numbers of one step's batch, and the rows as they are in its epoch.

    Args:
        source: the data.
        batch_size: rows a step.
        seed: of the run.
        step: counted from 0 over the whole run.
    """
    rows = batch_rows(len(source), batch_size, seed, step)
    return rows, source.at_epoch(step // steps_per_epoch(len(source), batch_size)).read(rows)


def batches(
    source: Source,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    *,
    labels: bool = False,
    targets: NDArray[Any] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the batches of steps `start` to `stop`, read ahead by threads, always in order.

    Args:
        source: the data.
        batch_size: rows a step.
        seed: of the run.
        start: the first step.
        stop: the step after the last.
        labels: whether to yield labels too.
        targets: what to yield instead of the source's own labels, one for each row.

    Yields:
        ``(x,)`` or ``(x, y)``.
    """

    def read(step: int) -> tuple[Any, ...]:
        rows, x = read_step(source, batch_size, seed, step)
        if targets is not None:
            return (x, targets[rows])
        return (x, source.labels[rows]) if labels and source.labels is not None else (x,)

    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="kptk-read")
    waiting: deque[Future[tuple[Any, ...]]] = deque()
    try:
        for step in range(start, stop):
            waiting.append(pool.submit(read, step))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
