"""Trains one phase of a fine-tuning, or the rest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from kptk import runfolder
from kptk.data import ArraySource, Source
from kptk.runfolder import RunFolder
from kptk.training import checkpoint
from kptk.training.callbacks import Checkpoints, KeepRandomState, MetricsLog, RestoreMetrics, ShowProgress
from kptk.training.checkpoint import Progress
from kptk.training.choice import StopWhenExhausted
from kptk.training.features import extract_with
from kptk.training.feeding import steady
from kptk.training.nan_capture import NanCapture
from kptk.training.optimizer import WarmupCosine
from kptk.training.phases import Featuriser, Phase
from kptk.training.rates import WarmupLinear
from kptk.training.stream import batches
from kptk.training.waiting import WaitClock

if TYPE_CHECKING:
    from kptk.training.finetune import FineTune


CHECKPOINT_SECONDS = 5.0
"""Time between checkpoints after epochs: an epoch of a few labels is shorter than writing one."""


def train_phase(
    run: FineTune,
    folder: RunFolder,
    phase: Phase,
    steps: tuple[int, int],
    progress: Progress,
    state: checkpoint.State | None,
    advance: Any,
) -> tuple[Progress, bool]:
    """Train one phase, or the rest of it.

    Args:
        run: the fine-tuning.
        folder: its folder.
        phase: the phase.
        steps: its first step, and the step after its last.
        progress: where the run stands.
        state: what a checkpoint within the phase holds, or None to begin it.
        advance: moves the progress bar.

    Returns:
        Where the run stands now, and whether it is to end here.
    """
    start, stop = steps
    model, rows = begin_phase(run, phase, steps, state, enter=progress.step == start)
    choice = run.choice(folder)
    last = stop == run.total_steps
    patient = last and choice is not None
    step = progress.step
    if patient and choice and step % run.per_epoch == 0 and step > start and choice.exhausted(step // run.per_epoch):
        return progress, True
    while step < stop:
        # An epoch that was interrupted in its middle is finished first: Keras can only begin whole ones.
        middle = step % run.per_epoch
        until = step + run.per_epoch - middle if middle else stop
        saver = Checkpoints(
            step,
            run.per_epoch,
            folder=folder.checkpoints,
            every=run.train["checkpoint_every"],
            first_loss=progress.first_loss,
            stop_on_nan=True,
            seconds=CHECKPOINT_SECONDS,
        )
        waits = WaitClock(step, run.per_epoch)
        log = MetricsLog(
            step,
            run.per_epoch,
            path=folder.path / runfolder.METRICS,
            batch_size=run.batch_size,
            say=run.say_epoch,
            waited=waits.waited_seconds,
        )
        callbacks = [
            *([RestoreMetrics(state)] if state is not None and middle else []),
            KeepRandomState(),
            ShowProgress(step, run.per_epoch, advance),
            *([choice] if choice else []),
            log,
            NanCapture(
                step,
                run.per_epoch,
                path=folder.path / runfolder.NAN_BATCH,
                source=run.rows.source,
                batch_size=run.batch_size,
                seed=run.train["seed"],
                labels=run.rows.labels,
                say=run.reporter.line,
            ),
            saver,
            *([StopWhenExhausted(choice)] if patient and choice else []),
            waits,  # the last, so that the others' time is not taken for waiting
        ]
        stream = batches(rows, run.batch_size, run.train["seed"], step, until, targets=run.rows.labels)
        try:
            keras.Model.fit(
                model,
                steady(waits.watched(stream)),
                steps_per_epoch=min(run.per_epoch, until - step),
                initial_epoch=step // run.per_epoch,
                epochs=-(-until // run.per_epoch),
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        finally:
            saver.release()
            stream.close()  # type: ignore[attr-defined]
        step, state = saver.step, None
        progress = Progress(step=step, first_loss=saver.first_loss)
        if model.stop_training:
            return progress, True
    return progress, False


def begin_phase(
    run: FineTune, phase: Phase, steps: tuple[int, int], state: checkpoint.State | None, *, enter: bool
) -> tuple[Any, Source]:
    """Compile for a phase and put it where a checkpoint left it.

    Args:
        run: the fine-tuning.
        phase: the phase.
        steps: its first step, and the step after its last.
        state: what a checkpoint within the phase holds, or None to begin it.
        enter: whether its first step is still to be made.

    Returns:
        What to call `keras.Model.fit` of, and the rows that it takes.
    """
    start, stop = steps
    phase = run.model.cached_or_not(phase, len(run.rows))
    model = run.model.begin(phase, stop - start, schedule=_schedule(run, stop - start))
    if state is not None:
        checkpoint.restore(model, state)
    rows: Source = run.rows.source
    if phase.cached:
        features = extract_with(Featuriser(run.model).predict_on_batch, rows)
        rows = ArraySource(features, inputs="features")
        if enter:
            run.model.enter(phase, features, run.rows.labels)
    return model, rows


def _schedule(run: FineTune, steps: int) -> Any:
    warm = round(run.train["warmup"] * steps)
    if run.train["schedule"] == "linear":
        return lambda peak: WarmupLinear(peak, warm, steps)
    return lambda peak: WarmupCosine(peak, warm, steps, cosine=run.train["schedule"] == "cosine")
