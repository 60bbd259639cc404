"""Goes again through the steps of a fine-tuning, phase by phase, up to the one whose loss was not a number."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk import runfolder
from kptk.data import Source
from kptk.errors import InputError
from kptk.finetuning import read, resolve_finetune
from kptk.plugins import Plugins
from kptk.request import without_trackers
from kptk.runfolder import RunFolder
from kptk.training import checkpoint
from kptk.training.checkpoint import Progress
from kptk.training.finetune import FineTune, fingerprint
from kptk.training.finetune_phase import begin_phase
from kptk.training.phases import Phase
from kptk.training.replay import WEIGHTS, Replay, gradient, judge, kept_step, ranges, repeat
from kptk.training.reporter import Reporter
from kptk.training.stream import batch_rows, batches

Array = NDArray[Any]


def replay_finetuning(folder: RunFolder, plugins: Plugins, reporter: Reporter) -> Replay:
    """Repeat the steps from the last checkpoint to the one whose loss was not a number, and look into that one.

    Nothing of the run changes.

    Args:
        folder: of the fine-tuning.
        plugins: the registry.
        reporter: how it speaks.

    Returns:
        What was found.

    Raises:
        InputError: if no such step was kept, the checkpoint is of a later step, or the data or the origin changed.
    """
    step, rows = kept_step(folder)
    run = FineTune(resolve_finetune(plugins, without_trackers(read(folder.path / runfolder.CONFIG))), plugins)
    described = folder.read_json(runfolder.ENVIRONMENT)
    for what, before, now in (
        ("data", described.get("data", {}).get("fingerprint"), fingerprint(run.source)),
        ("origin", described.get("origin", {}).get("checksum"), run.origin.checksum),
    ):
        if before != now:
            raise InputError(f"the {what} of {folder.path} changed since the run, so its steps cannot be repeated.")
    state, progress = checkpoint.load(folder.checkpoints) or (None, Progress())
    if progress.step > step:
        raise InputError(
            f"{folder.path} has a checkpoint after step {progress.step:,} only, and the step is {step + 1:,}."
        )
    reporter.line(f"From {'the checkpoint after step ' + f'{progress.step:,}' if state else 'the beginning'}")
    start, done = 0, progress.step
    for phase, stop in zip(run.phases, run.ends(), strict=True):
        mine = state is not None and start < progress.step <= stop
        if done < stop:
            model, given = begin_phase(run, phase, (start, stop), state if mine else None, enter=done == start)
            until = min(stop, step)
            spoilt = _steps(run, model, given, done, until)
            if spoilt is not None:
                step, rows = spoilt, batch_rows(len(given), run.batch_size, run.train["seed"], spoilt)
            if spoilt is not None or step < stop:
                reporter.line(f"Phase {phase.name}")
                raw = run.rows.source.read(rows)
                return judge(step, rows, progress.step, raw, _stages(run, model, phase, given, rows, raw), reporter)
            done = stop
        start = stop
    raise InputError(f"{folder.path} has no step {step + 1:,}: its configuration makes {run.total_steps:,}.")


def _steps(run: FineTune, model: Any, rows: Source, start: int, stop: int) -> int | None:
    """Repeat steps of a phase; returns the first one that spoilt the weights, if one did."""
    stream = batches(rows, run.batch_size, run.train["seed"], start, stop, targets=run.rows.labels)
    return repeat(partial(keras.Model.fit, model), stream, start, stop)


def _stages(
    run: FineTune, model: Any, phase: Phase, given: Source, rows: Array, raw: Array
) -> dict[str, tuple[bool, float]]:
    """Everything that a step computes, from the inputs on; no state changes."""
    x = given.read(rows)
    y = None if run.rows.labels is None else np.asarray(run.rows.labels)[rows]
    found: dict[str, list[Any]] = {"inputs": [raw] if raw.dtype.kind in "fiub" else []}
    found[WEIGHTS] = [variable.value for variable in model.trainable_weights]
    with keras.StatelessScope():
        if phase.cached:
            found["features"] = [x]
        elif run.model.preprocessor is not None:
            found["views"] = [run.model.prepare(x, True)]
        outputs = model(x, training=True)
        found["outputs"] = keras.tree.flatten(outputs)
        found["loss"] = [model.compute_loss(x=x, y=y, y_pred=outputs)]
    return ranges(found) | gradient(model, x, y)
