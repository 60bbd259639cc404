"""The optimiser of a run, from the options of `[train]`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

PACKAGE = "kptk"
REFERENCE_BATCH = 256
SCALING = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


def peak_learning_rate(train: Mapping[str, Any]) -> float:
    """The learning rate after warm-up: the option, scaled with the batch.

    Args:
        train: options of `[train]`.
    """
    return float(train["learning_rate"] * (train["batch_size"] / REFERENCE_BATCH) ** SCALING[train["lr_scaling"]])


@keras.saving.register_keras_serializable(package=PACKAGE)
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then half a cosine or a line to zero, or constant.

    Args:
        peak: learning rate at the end of the warm-up.
        warmup_steps: steps of the warm-up.
        total_steps: steps of the run.
        cosine: whether the rate falls to zero after the warm-up by a cosine.
        linear: whether it falls by a line.
    """

    def __init__(
        self, peak: float, warmup_steps: int, total_steps: int, cosine: bool = True, linear: bool = False
    ) -> None:
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.cosine = cosine
        self.linear = linear

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(self.warmup_steps, 1)
        share = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        share = ops.clip(share, 0.0, 1.0)
        falling = ops.ones_like(step)
        if self.cosine or self.linear:
            falling = 0.5 * (1 + ops.cos(math.pi * share)) if self.cosine else 1 - share
        return self.peak * ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("peak", "warmup_steps", "total_steps", "cosine", "linear")
        return {name: getattr(self, name) for name in names}


def make_optimizer(train: Mapping[str, Any], total_steps: int) -> keras.optimizers.Optimizer:
    """Build the optimiser of a run.

    Args:
        train: options of `[train]`.
        total_steps: steps of the whole run.

    Returns:
        A Keras optimiser; weight decay leaves out biases and normalisation.
    """
    schedule = WarmupCosine(
        peak_learning_rate(train),
        round(train["warmup"] * total_steps),
        total_steps,
        cosine=train["schedule"] == "cosine",
        linear=train["schedule"] == "linear",
    )
    return plain_optimizer(train, schedule)


def plain_optimizer(train: Mapping[str, Any], learning_rate: Any = None) -> keras.optimizers.Optimizer:
    """Build an optimiser by name.

    Args:
        train: options ``optimizer``, ``weight_decay``, ``clip_norm``, ``learning_rate`` and, if there is one, ``momentum``.
        learning_rate: a number or a schedule; the option's constant if None.

    Returns:
        A Keras optimiser; weight decay leaves out biases and normalisation.
    """
    rate = train["learning_rate"] if learning_rate is None else learning_rate
    common = {"learning_rate": rate, "global_clipnorm": train["clip_norm"] or None}
    decay = train["weight_decay"]
    if train["optimizer"] == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=decay, **common)
    elif train["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(weight_decay=decay or None, **common)
    elif train["optimizer"] == "adagrad":
        optimizer = keras.optimizers.Adagrad(weight_decay=decay or None, **common)
    else:
        momentum = float(train.get("momentum", 0.9))
        optimizer = keras.optimizers.SGD(momentum=momentum, weight_decay=decay or None, **common)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def weight_decay_exclusions(optimizer: keras.optimizers.Optimizer) -> list[str]:
    """Patterns of the variables that an optimiser leaves out of weight decay, which its configuration does not have.

    Args:
        optimizer: any Keras optimiser.
    """
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return [pattern.pattern] if pattern is not None else []
