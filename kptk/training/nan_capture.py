"""Keeps the batch at which the loss stops being a number, with its row numbers, to be looked at and replayed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.training import backend
from kptk.training.callbacks import RunCallback
from kptk.training.stream import batch_rows, read_step


class NanCapture(RunCallback):
    """Writes the first batch whose loss is not a number, or after which the features are none. List it before what stops.

    The file holds ``step`` (counted from 0), ``rows`` (their numbers in the training data), ``x``, ``y`` where there are
    labels, ``losses`` (of the last steps of the epoch), ``weights`` (names of the weights that are not finite after the
    step), and ``previous_rows``: a step that spoils the weights shows in the loss of the next one only.

    Args:
        start: steps done before this `fit`.
        steps_per_epoch: steps of a whole epoch.
        path: the ``.npz`` file.
        source: the training data.
        batch_size: rows a step.
        seed: of the run.
        labels: what each row's label is, or None.
        say: called with a sentence.
    """

    def __init__(
        self,
        start: int,
        steps_per_epoch: int,
        *,
        path: Path,
        source: Source,
        batch_size: int,
        seed: int,
        labels: NDArray[Any] | None,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(start, steps_per_epoch)
        self.path, self.source, self.labels, self.say = path, source, labels, say
        self.batch_size, self.seed = batch_size, seed
        self.captured = False
        self._means: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forget the last epoch's losses."""
        del epoch, logs
        self._means = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss."""
        del batch
        self.step += 1
        if self.captured or not logs:
            return
        self._means.append(float(logs["loss"]))
        if not math.isfinite(self._means[-1]):
            self.captured = True
            self._write(self.step - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the features, which can be spoilt without a sign of it in the loss."""
        del epoch
        if not self.captured and logs and math.isnan(logs.get("feature_spread", 0.0)):
            self.captured = True
            self._write(self.step - 1)

    def losses(self) -> NDArray[np.float64]:
        """Loss of each step so far in this epoch; Keras logs their running mean."""
        counts = np.arange(1, len(self._means) + 1)
        return np.diff(np.array(self._means) * counts, prepend=0.0)

    def _write(self, step: int) -> None:
        rows, x = read_step(self.source, self.batch_size, self.seed, step)
        backend.sync_state(self.model)
        spoilt = [
            variable.path
            for variable in self.model.variables
            if not np.isfinite(np.asarray(keras.ops.convert_to_numpy(variable.value), dtype=np.float64)).all()
        ]
        arrays: dict[str, Any] = {
            "step": np.array(step),
            "rows": rows,
            "x": np.array([str(row) for row in x]) if x.dtype == object else x,
            "losses": self.losses()[-20:],
            "weights": np.array(spoilt, dtype=str),
        }
        if step:
            arrays["previous_rows"] = batch_rows(len(self.source), self.batch_size, self.seed, step - 1)
        if self.labels is not None:
            arrays["y"] = self.labels[rows]
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)
            part.replace(self.path)
        except OSError as error:  # the run has failed as it is
            part.unlink(missing_ok=True)
            self.say(f"{self._what()} step {step + 1:,}; {self.path} could not be written: {error}")
            return
        self.say(f"{self._what()} step {step + 1:,}: {describe_rows(x, rows)}. Kept in {self.path}")

    def _what(self) -> str:
        lost = not self._means or not math.isfinite(self._means[-1])
        return "The loss is not a number from" if lost else "The features are not finite after"


def describe_rows(x: NDArray[Any], rows: NDArray[np.int64]) -> str:
    """What is in a batch that gave no number: the rows that are no numbers themselves, or that all are finite.

    Args:
        x: the batch.
        rows: the number of each row in the data.
    """
    if x.dtype.kind != "f":
        return f"its {len(rows):,} rows are finite"
    bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    if not bad.any():
        return f"its {len(rows):,} rows are finite, of {float(x.min()):.3g} to {float(x.max()):.3g}"
    numbers = ", ".join(f"{row:,}" for row in rows[bad][:5])
    return f"{int(bad.sum()):,} of its rows hold values that are not finite: row {numbers}{', ...' if bad.sum() > 5 else ''}"
