"""From names to a fine-tuned model: task, strategy, and the two together."""

from __future__ import annotations

from typing import Any

from kptk.config import Part
from kptk.data import Source
from kptk.finetuning import FineTuneConfig
from kptk.plugins import load_target
from kptk.training.origin import Origin, transplant
from kptk.training.receipt import Receipt
from kptk.training.strategy import Strategy
from kptk.training.task import Task


def build_task(part: Part, class_names: tuple[str, ...], row_shape: tuple[int, ...]) -> Task:
    """Build a task.

    Args:
        part: the `[task]` section.
        class_names: the name of each class.
        row_shape: shape of one raw input.
    """
    assert part.offer is not None
    made: Task = load_target(part.offer)(  # type: ignore[operator]
        class_names=class_names, row_shape=row_shape, name=part.offer.spec.name, **part.values
    )
    return made


def build_strategy(part: Part, backbone: Any, task: Task, preprocessor: Any, *, augment: bool) -> Strategy:
    """Build a strategy around a backbone and a task.

    Args:
        part: the `[strategy]` section.
        backbone: a `keras.Model` from inputs to features.
        task: the task.
        preprocessor: prepares raw inputs, or None.
        augment: whether to train on random views.
    """
    assert part.offer is not None
    made: Strategy = load_target(part.offer)(  # type: ignore[operator]
        backbone, task, preprocessor, augment=augment, **part.values
    )
    return made


def build_model(config: FineTuneConfig, origin: Origin, source: Source) -> tuple[Strategy, Receipt]:
    """Build what is fine-tuned.

    Args:
        config: the configuration.
        origin: what it starts from.
        source: the labelled data, for class names and the shape of a row.
    """
    backbone, receipt = transplant(origin)
    task = build_task(config.task, source.class_names, tuple(source.row_shape))
    model = build_strategy(config.strategy, backbone, task, origin.preprocessor, augment=config.train.values["augment"])
    return model, receipt
