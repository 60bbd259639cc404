"""Training in stages: parts of a model one after the other, each with a fresh optimiser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras

from kptk.errors import UsageError

if TYPE_CHECKING:
    from kptk.training.pretrainer import Pretrainer


def share(epochs: int, stages: int) -> list[int]:
    """Divide epochs over stages, as evenly as whole epochs can be.

    Args:
        epochs: of the whole training, at least `stages`.
        stages: at least 1.

    Returns:
        `stages` + 1 epochs: stage i runs from the i-th to the next.

    Raises:
        UsageError: if there are fewer epochs than stages.

    Example:
        >>> share(10, 3)
        [0, 3, 6, 10]
    """
    if epochs < stages:
        raise UsageError(
            f"the model is trained in {stages} stages, one after the other, and each needs at least one epoch. "
            f"Received: {epochs} in all. Use --epochs {stages} or more."
        )
    return [stage * epochs // stages for stage in range(stages + 1)]


def fit_stages(model: Pretrainer, given: dict[str, Any]) -> Any:
    """Run `keras.Model.fit` once for each stage, dividing ``epochs`` over them.

    Each stage gets at least one epoch, and starts with a fresh copy of the optimiser that the model was compiled with.
    Epochs are numbered through all stages. Where a callback stops a stage early, the next one begins; a loss that is not
    a number ends all. Afterwards everything can be trained again.

    Args:
        model: a compiled pretrainer with more than one stage.
        given: arguments of `fit`, by name.

    Returns:
        The `History` of the last stage, with the figures of all.
    """
    given = dict(given)
    first, last = given.pop("initial_epoch", 0), max(given.pop("epochs", 1), model.stages)
    bounds = share(last, model.stages)
    config = model.get_compile_config()
    figures: dict[str, list[float]] = {}
    epochs: list[int] = []
    history = None
    try:
        for stage in range(model.stages):
            start = max(bounds[stage], first)
            if start >= bounds[stage + 1]:
                continue
            model.begin_stage(stage)
            model.compile_from_config(config)
            history = keras.Model.fit(model, **given, initial_epoch=start, epochs=bounds[stage + 1])
            epochs += history.epoch
            for name, values in history.history.items():
                figures.setdefault(name, []).extend(values)
            if not math.isfinite(history.history["loss"][-1]):
                break
    finally:
        model.end_stages()
        model.compile_from_config(config)
    if history is not None:
        history.history, history.epoch = figures, epochs
    return history
