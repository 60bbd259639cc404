"""Choosing the best epoch on validation rows."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source, Subset
from kptk.errors import RunError
from kptk.training import backend
from kptk.training.examples import Examples
from kptk.training.features import extract_with
from kptk.training.labelled import Part
from kptk.training.phases import Predictor
from kptk.training.strategy import Strategy
from kptk.training.task import Task

BEST = "best.npz"
PREFIX = "val_"


class Scorer:
    """Scores a fine-tuned model on rows, in inference mode.

    Args:
        model: the fine-tuned model.
        batch_size: rows a step; every step has this many, so that the model is compiled once. 0 for the task's own.
    """

    def __init__(self, model: Strategy, batch_size: int = 0) -> None:
        self.model = model
        self.batch_size = batch_size or model.task.rows_at_once

    @cached_property
    def predictor(self) -> keras.Model:
        """What predicts."""
        return self.model.task.predictor(self.model) or Predictor(self.model)

    @cached_property
    def judge(self) -> keras.Model:
        """What is scored."""
        return self.model.task.judge(self.model) or self.predictor

    def predict(self, source: Source, progress: Any = None) -> np.ndarray[Any, Any]:
        """Predictions for every row.

        Args:
            source: the rows.
            progress: called with the number of rows done, or None.
        """
        return self._run(self.predictor, source, progress)

    def score(self, part: Part, *, details: bool = False) -> dict[str, float]:
        """The task's figures.

        Args:
            part: rows with labels.
            details: whether to add those that are not worth a line in every epoch.
        """
        task, source, labels = self.model.task, part.source, part.labels
        if labels is None:
            labels = self.input_targets(source)
            source = _Degraded(source, task)
        found = self._run(self.judge, source)
        figures = task.score_rows(labels, found, source)
        if not details or type(task).details is Examples.details:
            return figures
        if self.judge is not self.predictor:
            found = self.predict(source)
        return figures | task.details(labels, found, source)

    def _run(self, model: keras.Model, source: Source, progress: Any = None) -> np.ndarray[Any, Any]:
        size = min(self.batch_size, max(len(source), 1))
        return extract_with(model.predict_on_batch, source, batch_size=size, progress=progress)

    def input_targets(self, source: Source) -> np.ndarray[Any, Any]:
        """Targets that the task makes of its inputs, for every row.

        Args:
            source: the rows.
        """
        parts = []
        for start in range(0, len(source), self.batch_size):
            batch = source.read(np.arange(start, min(start + self.batch_size, len(source))))
            plain = batch if self.model.preprocessor is None else self.model.preprocessor.plain(batch)
            parts.append(ops.convert_to_numpy(self.model.task.input_targets(plain)))
        return np.concatenate(parts)


class _Degraded(Subset):
    """Rows as a task that restores them is evaluated on."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, np.arange(len(source)), "degraded")
        self.task = task

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows and take away what the task restores."""
        return self.task.evaluation_rows(super().read(rows))


class ChooseBest(keras.callbacks.Callback):
    """Scores each epoch on the validation rows, keeps the best weights on disk and stops when nothing improves.

    Args:
        scorer: of the whole model.
        validation: rows with labels that never train.
        folder: where the best weights are kept.
        records: what the log holds of earlier epochs, to go on after an interruption.
        patience: epochs without a better one after which to stop; 0 for never.
    """

    def __init__(
        self, scorer: Scorer, validation: Part, *, folder: Path, records: list[dict[str, Any]], patience: int = 0
    ) -> None:
        super().__init__()
        self.scorer = scorer
        self.validation = validation
        self.folder = folder
        self.patience = patience
        self.best: dict[str, float] | None = None
        self.best_epoch = 0
        for record in records:
            score = {key.removeprefix(PREFIX): value for key, value in record.items() if key.startswith(PREFIX)}
            self._consider(score, record["epoch"])

    def exhausted(self, epoch: int) -> bool:
        """Whether patience has run out.

        Args:
            epoch: epochs done.
        """
        return bool(self.patience) and epoch - self.best_epoch >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Score, keep the weights if they are the best, add the figures to the log."""
        backend.sync_state(self.model)
        score = self.scorer.score(self.validation)
        if self._consider(score, epoch + 1):
            save_weights(self.folder / BEST, self.scorer.model)
        if logs is not None:
            logs.update({PREFIX + key: value for key, value in score.items()})

    def _consider(self, score: dict[str, float], epoch: int) -> bool:
        metric = self.scorer.model.task.metric
        if score.get(metric) is None or not np.isfinite(score[metric]):
            return False
        if self.scorer.model.task.better(score, self.best):
            self.best, self.best_epoch = score, epoch
            return True
        return False


class StopWhenExhausted(keras.callbacks.Callback):
    """Ends the training when patience has run out; after the checkpoint of the epoch was written.

    Args:
        choice: what knows the best epoch.
    """

    def __init__(self, choice: ChooseBest) -> None:
        super().__init__()
        self.choice = choice

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop if it is time."""
        del logs
        if self.choice.exhausted(epoch + 1):
            self.model.stop_training = True


def save_weights(path: Path, model: keras.Model) -> None:
    """Write every variable of a model, whole or not at all.

    Args:
        path: an ``.npz`` file.
        model: the model.

    Raises:
        RunError: if the disk is full or read-only.
    """
    part = path.with_name(f"{path.name}.part")
    arrays = {str(index): ops.convert_to_numpy(variable.value) for index, variable in enumerate(model.variables)}
    try:
        path.parent.mkdir(exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, paths=np.array(json.dumps([v.path for v in model.variables])), **arrays)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {path}: {error.strerror or error}") from error


def load_weights(path: Path, model: keras.Model) -> None:
    """Read what `save_weights` wrote.

    Args:
        path: the file.
        model: the same model.
    """
    with np.load(path, allow_pickle=False) as arrays:
        for index, variable in enumerate(model.variables):
            variable.assign(arrays[str(index)])
