"""What happens around the steps of a run: checkpoints, the log, progress, and stopping in good order."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import keras

from kptk.errors import RunError
from kptk.runfolder import RunFolder
from kptk.training import backend, checkpoint
from kptk.training.checkpoint import Progress
from kptk.training.reporter import Advance

TIMINGS = ("seconds", "images_per_second", "waited")
"""Keys of the log that differ between two runs of the same configuration."""


class RunCallback(keras.callbacks.Callback):
    """Base: knows the step over the whole run, also after a resume in the middle of an epoch.

    Args:
        start: steps done before this `fit`.
        steps_per_epoch: steps of a whole epoch.
    """

    def __init__(self, start: int, steps_per_epoch: int) -> None:
        super().__init__()
        self.step = start
        self.per_epoch = steps_per_epoch

    @property
    def in_mid_epoch(self) -> bool:
        """Whether the last step was not the last of its epoch."""
        return self.step % self.per_epoch != 0


class Checkpoints(RunCallback):
    """Writes the checkpoint after each epoch and every few steps, and on the way out of an interruption.

    SIGINT and SIGTERM let the step in progress end, write a checkpoint, and then stop the run.

    Args:
        start: steps done before.
        steps_per_epoch: steps of a whole epoch.
        folder: of the checkpoints.
        every: steps between checkpoints; 0 for epochs only.
        first_loss: loss of the first step of the run, NaN if it has not been made.
        stop_on_nan: whether to stop when the loss is not a number.
        seconds: time between the checkpoints after epochs, for epochs that are shorter than a checkpoint takes; the last
            one is always written.
    """

    def __init__(
        self,
        start: int,
        steps_per_epoch: int,
        *,
        folder: Path,
        every: int,
        first_loss: float,
        stop_on_nan: bool,
        seconds: float = 0.0,
    ) -> None:
        super().__init__(start, steps_per_epoch)
        self.seconds = seconds
        self._written = (start, time.monotonic())
        self.folder = folder
        self.every = every
        self.first_loss = first_loss
        self.stop_on_nan = stop_on_nan
        self.diverged = False
        self.interrupted = False
        self._before: dict[int, Any] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Take over the two signals, in the main thread."""
        del logs
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._interrupt)
        except ValueError:  # not the main thread: the caller has to stop the run
            self._before.clear()

    def on_train_end(self, logs: Any = None) -> None:
        """Write the last checkpoint if that was put off, and give the signals back."""
        del logs
        if self._written[0] != self.step:
            self.write()
        self.release()

    def release(self) -> None:
        """Give the signals back; called again when `fit` ends by an error."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.interrupted:  # asked twice: do not wait for the step
            raise KeyboardInterrupt
        self.interrupted = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step; write a checkpoint if it is time; stop if that was asked for."""
        del batch
        self.step += 1
        if self.step == 1 and logs:
            self.first_loss = float(logs["loss"])
        if self.stop_on_nan and logs and not math.isfinite(float(logs["loss"])):
            self.model.stop_training = True
            self.diverged = True
        due = self.every and self.step % self.every == 0
        if (due or self.interrupted) and self.in_mid_epoch:
            self.write()
        if self.interrupted and self.in_mid_epoch:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a checkpoint; stop if that was asked for during the last step."""
        del epoch
        if self.stop_on_nan and logs and math.isnan(logs.get("feature_spread", 0.0)):
            # Spoilt weights need not show in the loss: one that compares directions can stay at its chance level.
            self.model.stop_training = True
            self.diverged = True
        late = time.monotonic() - self._written[1] >= self.seconds
        if (late or self.interrupted) and not self.in_mid_epoch:
            self.write()
        if self.interrupted:
            self._stop()

    def write(self) -> None:
        """Write a checkpoint now; of a run that diverged the last one before that is kept, from which it can be replayed."""
        if self.diverged:
            return
        checkpoint.save(self.folder, self.model, Progress(step=self.step, first_loss=self.first_loss))
        self._written = (self.step, time.monotonic())

    def _stop(self) -> None:
        command = RunFolder(self.folder.parent).resume_command
        raise RunError(f"interrupted after step {self.step:,}. Go on with: {command}")


class RestoreMetrics(keras.callbacks.Callback):
    """Puts the running means back after Keras reset them, for an epoch that goes on in its middle.

    Args:
        state: a captured state, see `kptk.training.checkpoint`.
    """

    def __init__(self, state: checkpoint.State) -> None:
        super().__init__()
        self.state: checkpoint.State | None = state

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Write the metrics of the checkpoint, once."""
        del epoch, logs
        if self.state is None:
            return
        for index, variable in enumerate(self.model.metrics_variables):
            variable.assign(self.state[f"metrics/{index}"])
        self.state = None


class KeepRandomState(keras.callbacks.Callback):
    """Undoes what setting up `fit` draws from the backend's own random numbers.

    A resumed run sets up `fit` more often than an uninterrupted one; PyTorch's data loader draws a number each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = backend.random_state()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Put the state back, once."""
        del batch, logs
        if self.state is not None:
            backend.set_random_state(self.state)
            self.state = None


class MetricsLog(RunCallback):
    """Appends one line to `metrics.jsonl` after each epoch.

    Args:
        start: steps done before.
        steps_per_epoch: steps of a whole epoch.
        path: the file.
        batch_size: examples a step.
        say: called with each record.
        waited: gives the seconds of the epoch that its steps waited for data.
    """

    def __init__(
        self,
        start: int,
        steps_per_epoch: int,
        *,
        path: Path,
        batch_size: int,
        say: Callable[[dict[str, Any]], None],
        waited: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(start, steps_per_epoch)
        self.path = path
        self.batch_size = batch_size
        self.say = say
        self.waited = waited
        self._began = (time.perf_counter(), start)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        del epoch, logs
        self._began = (time.perf_counter(), self.step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step."""
        del batch, logs
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the record."""
        began, first = self._began
        seconds = time.perf_counter() - began
        record: dict[str, Any] = {"epoch": epoch + 1, "step": self.step}
        if getattr(self.model, "stages", 1) > 1:  # fine-tuned models have no stages
            record["stage"] = self.model.stage + 1
        record |= {key: _number(value) for key, value in (logs or {}).items()}
        record["learning_rate"] = _number(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        record["seconds"] = round(seconds, 3)
        if self.waited is not None:
            record["waited"] = round(min(self.waited(), seconds), 3)
        record["images_per_second"] = round((self.step - first) * self.batch_size / max(seconds, 1e-9), 1)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"could not write {self.path}: {error.strerror or error}") from error
        self.say(record)


def _number(value: Any) -> float | None:
    """A float that JSON can hold; what is not finite becomes null."""
    number = float(value)
    return number if math.isfinite(number) else None


class ShowProgress(RunCallback):
    """Moves the progress bar.

    Args:
        start: steps done before.
        steps_per_epoch: steps of a whole epoch.
        advance: called with the step and a note.
    """

    def __init__(self, start: int, steps_per_epoch: int, advance: Advance) -> None:
        super().__init__(start, steps_per_epoch)
        self.advance = advance

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the step and the loss."""
        del batch
        self.step += 1
        note = f"epoch {1 + (self.step - 1) // self.per_epoch}"
        if logs and "loss" in logs:
            note += f", loss {float(logs['loss']):.4f}"
        self.advance(self.step, note)
