"""What a run will cost, measured on a few real steps that leave no trace."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kptk.data import Source
from kptk.training import checkpoint
from kptk.training.duration import duration as duration
from kptk.training.environment import peak_memory
from kptk.training.feeding import steady
from kptk.training.stream import batches, steps_per_epoch

MEASURED_STEPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes and times of a run.

    Args:
        backbone_parameters: trainable numbers of the backbone.
        parameters: trainable numbers in all.
        examples: rows of the data.
        steps: steps of the run.
        step_seconds: median time of a step.
        cpu_seconds: median processor time of a step, over all cores; other work on the machine hardly changes it.
        memory_bytes: largest resident memory so far.
    """

    backbone_parameters: int
    parameters: int
    examples: int
    steps: int
    step_seconds: float
    cpu_seconds: float
    memory_bytes: int

    @property
    def seconds(self) -> float:
        """Predicted time of the run's steps."""
        return self.steps * self.step_seconds

    def __str__(self) -> str:
        return (
            f"{self.backbone_parameters:,} parameters in the backbone, {self.parameters:,} in all; "
            f"{self.examples:,} examples, {self.steps:,} steps of {1000 * self.step_seconds:.0f} ms: "
            f"about {duration(self.seconds)}; memory {self.memory_bytes / 2**20:,.0f} MB"
        )

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"seconds": self.seconds}


class _StepTimes(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.processor: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        del batch
        _ = float(logs["loss"])  # wait until the step is really done
        self.times.append(time.perf_counter())
        self.processor.append(time.process_time())


def sizes(model: Any) -> tuple[int, int]:
    """How many numbers training can change: of the backbone, and in all.

    Args:
        model: the pretrainer.
    """
    return _trainable(model.backbone), _trainable(model)


def measure(
    model: keras.Model,
    source: Source,
    train: Any,
    parameters: tuple[int, int],
    *,
    labels: bool = False,
    steps: int = MEASURED_STEPS,
) -> Plan:
    """Time a few steps and put every variable back as it was.

    Args:
        model: the compiled pretrainer with its optimiser built.
        source: the data.
        train: options of `[train]`.
        parameters: see `sizes`; asked for before a first stage holds the weights of later ones.
        labels: whether the objective learns from labels.
        steps: how many to time.

    Returns:
        The plan.
    """
    before = checkpoint.capture(model)
    clock = _StepTimes()
    per_epoch = steps_per_epoch(len(source), train["batch_size"])
    # Steps wrap into later epochs if the data is small.
    stream = batches(source, train["batch_size"], train["seed"], 0, steps, labels=labels)
    model.fit(steady(stream), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False, callbacks=[clock])
    checkpoint.restore(model, before)
    return Plan(
        backbone_parameters=parameters[0],
        parameters=parameters[1],
        examples=len(source),
        steps=train["epochs"] * per_epoch,
        step_seconds=float(np.median(np.diff(clock.times))),
        cpu_seconds=float(np.median(np.diff(clock.processor))),
        memory_bytes=peak_memory(),
    )


def _trainable(model: keras.Model) -> int:
    return int(sum(np.prod(variable.shape) for variable in model.trainable_weights))
