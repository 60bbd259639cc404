"""`kptk replay`: goes again through the steps before a loss that was not a number, and says where it comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk import runfolder
from kptk.config import resolve
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.request import from_run
from kptk.runfolder import RunFolder
from kptk.training import backend, checkpoint
from kptk.training.callbacks import KeepRandomState
from kptk.training.checkpoint import Progress
from kptk.training.feeding import steady
from kptk.training.gradient_norm import GradientNorm
from kptk.training.nan_capture import describe_rows
from kptk.training.prepared import load_preprocessor
from kptk.training.reporter import Reporter
from kptk.training.run import Run
from kptk.training.stream import batch_rows, batches

Array = NDArray[Any]
WEIGHTS = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay found.

    Args:
        step: the step, counted from 1.
        rows: its rows in the training data.
        start: steps done at the checkpoint that the replay began from.
        stages: what the step computes, in this order: whether it is finite, and its largest absolute value.
        broken: the first of them that is not finite; empty if all are.
        cause: the likely cause.
        remedy: what to try.
    """

    step: int
    rows: tuple[int, ...]
    start: int
    stages: dict[str, tuple[bool, float]]
    broken: str
    cause: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON; a largest value that is not finite becomes null."""
        return {
            "step": self.step,
            "rows": list(self.rows),
            "start": self.start,
            "stages": [
                {"name": name, "finite": finite, "largest": largest if math.isfinite(largest) else None}
                for name, (finite, largest) in self.stages.items()
            ],
            "broken": self.broken,
            "cause": self.cause,
            "remedy": self.remedy,
        }


def replay(path: str | Path, plugins: Plugins | None = None, reporter: Reporter | None = None) -> Replay:
    """Repeat the steps from the last checkpoint to the one whose loss was not a number, and look into that one.

    Nothing of the run changes.

    Args:
        path: the run folder.
        plugins: the registry; a new one if None.
        reporter: how it speaks.

    Returns:
        What was found.

    Raises:
        InputError: if no such step was kept, or the checkpoint is of a later step.
    """
    plugins, reporter = plugins or Plugins(), reporter or Reporter()
    folder = RunFolder.open(path)
    if folder.finetuned:
        from kptk.training.replay_finetune import replay_finetuning

        return replay_finetuning(folder, plugins, reporter)
    step, rows = kept_step(folder)
    config = resolve(plugins, from_run(folder.path / runfolder.CONFIG))
    run = Run(config, plugins, preprocessor=load_preprocessor(folder, plugins))
    if run.source.fingerprint() != folder.read_json(runfolder.ENVIRONMENT).get("data", {}).get("fingerprint"):
        raise InputError(f"the data of {path} changed since the run, so its steps cannot be repeated.")
    state, progress = checkpoint.load(folder.checkpoints) or (None, Progress())
    if progress.step > step:
        raise InputError(f"{path} has a checkpoint after step {progress.step:,} only, and the step is {step + 1:,}.")
    _ = run.plan()  # measuring draws what it drew in the run, and puts everything back
    run.change_stage(run.stage_of(step))
    if state is not None:
        checkpoint.restore(run.model, state)
    reporter.line(f"From {'the checkpoint after step ' + f'{progress.step:,}' if state else 'the beginning'}")
    spoilt = _steps(run, progress.step, step)
    if spoilt is not None:
        step = spoilt
        rows = batch_rows(len(run.source), run.train["batch_size"], run.train["seed"], spoilt)
    x = run.source.at_epoch(step // run.per_epoch).read(rows)
    y = run.source.labels[rows] if run.labels and run.source.labels is not None else None
    return judge(step, rows, progress.step, x, _stages(run.model, x, y), reporter)


def kept_step(folder: RunFolder) -> tuple[int, Array]:
    """The step whose loss was not a number, and its rows.

    Args:
        folder: of the run.

    Raises:
        InputError: if none was kept.
    """
    kept = folder.path / runfolder.NAN_BATCH
    if not kept.exists():
        raise InputError(f"{folder.path} has no {runfolder.NAN_BATCH}: no loss of this run was anything but a number.")
    with np.load(kept, allow_pickle=False) as arrays:
        return int(arrays["step"]), arrays["rows"]


class _Watch(keras.callbacks.Callback):
    """Ends the replay at the first step after which a weight is not finite."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step
        self.spoilt: int | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        del batch, logs
        backend.sync_state(self.model)
        if not _range([variable.value for variable in self.model.trainable_weights])[0]:
            self.spoilt = self.step
            self.model.stop_training = True
        self.step += 1


def _steps(run: Run, start: int, stop: int) -> int | None:
    """Repeat steps; returns the first one that spoilt the weights, if one did."""
    stream = batches(run.source, run.train["batch_size"], run.train["seed"], start, stop, labels=run.labels)
    return repeat(run.model.fit, stream, start, stop)


def repeat(fit: Callable[..., Any], stream: Iterator[Any], start: int, stop: int) -> int | None:
    """Make steps again.

    Args:
        fit: of the model.
        stream: its batches.
        start: steps done.
        stop: steps done at the end.

    Returns:
        The first step that spoilt the weights, counted from 0, if one did.
    """
    if stop == start:
        return None
    watch = _Watch(start)
    try:
        # An epoch of one step, so that stopping means stopping.
        fit(
            steady(stream),
            steps_per_epoch=1,
            epochs=stop - start,
            verbose=0,
            shuffle=False,
            callbacks=[KeepRandomState(), watch],
        )
    finally:
        stream.close()  # type: ignore[attr-defined]
    return watch.spoilt


def _stages(model: Any, x: Array, y: Array | None) -> dict[str, tuple[bool, float]]:
    """Everything that a step computes, from the inputs on; no state changes."""
    found: dict[str, list[Any]] = {"inputs": [x] if x.dtype.kind in "fiub" else []}
    found[WEIGHTS] = [variable.value for variable in model.trainable_weights]
    with keras.StatelessScope():
        if model.views is not None:
            found["views"] = list(model.views(x))
        outputs = model(x, training=True)
        for name, output in outputs.items():
            found[name] = [output]
        found["loss"] = [model.compute_loss(x=x, y=y, y_pred=outputs, training=False)]
    return ranges(found) | gradient(model, x, y)


def gradient(model: Any, x: Array, y: Any) -> dict[str, tuple[bool, float]]:
    """The last stage of a step: the length of its gradient.

    Args:
        model: what is trained.
        x: inputs.
        y: labels, or None.
    """
    norm = GradientNorm(model)(x, y)
    return {"gradient norm": (math.isfinite(norm), norm)}


def ranges(found: dict[str, list[Any]]) -> dict[str, tuple[bool, float]]:
    """Whether tensors are finite, and their largest absolute value.

    Args:
        found: tensors by stage.
    """
    return {name: _range(tensors) for name, tensors in found.items()}


def _range(tensors: list[Any]) -> tuple[bool, float]:
    finite, largest = True, 0.0
    for tensor in tensors:
        array = np.asarray(keras.ops.convert_to_numpy(tensor))
        if array.dtype.kind not in "fiub" or not array.size:
            continue
        values = np.abs(array.astype(np.float64))
        finite = finite and bool(np.isfinite(values).all())
        largest = max(largest, float(values.max()))
    return finite, largest


def judge(
    step: int, rows: Array, start: int, x: Array, stages: dict[str, tuple[bool, float]], reporter: Reporter
) -> Replay:
    """Find the first stage that is not finite and say what that means.

    Args:
        step: the step, counted from 0.
        rows: its rows.
        start: steps done at the checkpoint.
        x: its raw inputs.
        stages: what the step computes, in its order.
        reporter: hears it.
    """
    for name, (finite, largest) in stages.items():
        said = f"finite, at most {largest:.3g}" if finite else "NOT FINITE"
        reporter.line(f"  {name:<24} {said}")
    cause, remedy, broken = _cause(rows, x, stages)
    reporter.line(f"Step {step + 1:,}: {cause} {remedy}")
    return Replay(
        step=step + 1,
        rows=tuple(int(row) for row in rows),
        start=start,
        stages=stages,
        broken=broken,
        cause=cause,
        remedy=remedy,
    )


def _cause(rows: Array, x: Array, stages: dict[str, tuple[bool, float]]) -> tuple[str, str, str]:
    """Cause, remedy, and the stage that is not finite."""
    broken = next((name for name, (finite, _) in stages.items() if not finite), "")
    slower = "Use a smaller learning rate (-o train.learning_rate=) or limit the gradient (-o train.clip_norm=1)."
    largest = stages[WEIGHTS][1]
    if broken == "inputs":
        cause = f"The data is at fault: {describe_rows(x, rows)}."
        remedy = "Leave those rows out or mend them."
    elif broken == WEIGHTS:
        cause, remedy = "This step spoilt the weights: its gradient was too large for the numbers.", slower
    elif broken == "views":
        cause, remedy = "The preprocessor makes numbers that are not finite of finite rows.", "Weaken its options."
    elif broken == "loss":
        cause = "What the network gives is finite, the formula of the loss is not."
        remedy = "Look at its options, such as a temperature that is too small."
    elif broken == "gradient norm":
        cause, remedy = "The loss is finite, its gradient is not.", slower
    elif broken:
        cause, remedy = f"Finite rows overflow in the network, whose largest weight is {largest:.3g}.", slower
    else:
        cause = "Replayed, everything about the step is finite: the run was not deterministic or the machine erred."
        remedy = "Run it again with -o train.deterministic=true."
    return cause, remedy, broken
