"""Checkpoints that hold everything a run needs to go on as if nothing had happened.

Keras' own files leave out the state of random layers and, in the middle of an epoch, the metrics. A kptk checkpoint
has every variable of the model (seeds included), of the optimiser and of the metrics, and the step.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError, RunError
from kptk.runfolder import RunFolder
from kptk.training import backend

FILE = "latest.npz"
RANDOM = "random"
State = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Args:
        step: steps done over the whole run.
        first_loss: loss of the very first step, to judge learning by; NaN before it.
    """

    step: int = 0
    first_loss: float = float("nan")


def capture(model: keras.Model) -> State:
    """Copy every variable of a model, its optimiser and its metrics.

    Args:
        model: a compiled model whose optimiser is built.

    Returns:
        Arrays by a key that says which variable of which group, and the backend's own random state.
    """
    backend.sync_state(model)
    state = {key: np.array(keras.ops.convert_to_numpy(variable.value)) for key, variable in _variables(model)}
    return {**state, RANDOM: backend.random_state()}


def restore(model: keras.Model, state: State) -> None:
    """Write a captured state back.

    Args:
        model: a compiled model of the same configuration.
        state: from `capture` or `load`.

    Raises:
        InputError: if the state belongs to another model.
    """
    variables = dict(_variables(model))
    different = sorted(set(variables) ^ (set(state) - {RANDOM})) or [
        key for key, variable in variables.items() if tuple(variable.shape) != state[key].shape
    ]
    if different:
        raise InputError(
            f"the checkpoint belongs to another model: {len(different)} tensors do not match, first {different[0]}. "
            "Resume with the configuration and the plugin versions that the run was started with."
        )
    for key, variable in variables.items():
        variable.assign(state[key])
    backend.set_random_state(state[RANDOM])


def _variables(model: keras.Model) -> list[tuple[str, Any]]:
    groups = (
        ("model", model.variables),
        ("optimizer", model.optimizer.variables),
        ("metrics", model.metrics_variables),
    )
    return [(f"{group}/{index}", v) for group, members in groups for index, v in enumerate(members)]


def save(folder: Path, model: keras.Model, progress: Progress) -> None:
    """Write the checkpoint of a run; a crash while writing leaves the previous one.

    Args:
        folder: the run's ``checkpoints`` folder.
        model: the model in training.
        progress: where the run stands.

    Raises:
        RunError: if the disk is full or read-only.
    """
    state = capture(model)
    head = json.dumps({"step": progress.step, "first_loss": progress.first_loss})
    part = folder / f"{FILE}.part"
    try:
        folder.mkdir(exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, head=np.array(head), **state)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / FILE)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(
            f"could not write the checkpoint {folder / FILE}: {error.strerror or error}. "
            f"Free some space and go on with: {RunFolder(folder.parent).resume_command}"
        ) from error


def load(folder: Path) -> tuple[State, Progress] | None:
    """Read the checkpoint of a run.

    Args:
        folder: the run's ``checkpoints`` folder.

    Returns:
        The state and where the run stood, or None if there is no checkpoint yet.

    Raises:
        InputError: if the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            head = json.loads(str(arrays["head"]))
            state = {key: arrays[key] for key in arrays.files if key != "head"}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"the checkpoint {path} is damaged: {error}") from None
    return state, Progress(step=int(head["step"]), first_loss=float(head["first_loss"]))
