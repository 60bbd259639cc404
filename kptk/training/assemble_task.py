"""From names to a fine-tuned model: task, strategy, and the two together."""

from __future__ import annotations

from typing import Any

from kptk.config import Part
from kptk.data import Source
from kptk.errors import InputError
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


def build_model(config: FineTuneConfig, origin: Origin, raw: Source) -> tuple[Strategy, Receipt, Source]:
    """Build what is fine-tuned.

    Args:
        config: the configuration.
        origin: what it starts from.
        raw: the labelled data, which a preprocessor that learns of rows has seen.

    Returns:
        The model, the receipt of the transfer, and the rows that it is fed.

    Raises:
        InputError: if the rows are of another shape than the backbone takes.
    """
    backbone, receipt = transplant(origin)
    assert config.task.offer is not None
    names = load_target(config.task.offer).names_of(raw)  # type: ignore[attr-defined]
    preprocessor = origin.preprocessor
    shape = tuple(raw.row_shape)
    if preprocessor is not None and preprocessor.fits:
        shape = tuple(preprocessor.prepared_shape(shape))
    task = build_task(config.task, names, shape)
    source = task.examples(raw, preprocessor)
    task.row_shape = tuple(source.row_shape)
    refuse_other_shape(origin, task, source)
    model = build_strategy(config.strategy, backbone, task, preprocessor, augment=config.train.values["augment"])
    return model, receipt, source


def refuse_other_shape(origin: Origin, task: Task, source: Source) -> None:
    """Raise if a backbone does not take the rows.

    Args:
        origin: the backbone and what prepares its inputs.
        task: what the rows are made for.
        source: the rows.
    """
    wanted, given = tuple(origin.backbone.input_shape[1:]), tuple(source.row_shape)
    if origin.preprocessor is not None:
        given = tuple(origin.preprocessor.view_shape(given))
    given = task.backbone_shape(given)
    if not given:
        return  # the strategy looks at it
    resized = bool(getattr(origin.preprocessor, "size", 0))
    sides = wanted[-1:], given[-1:]
    fits = sides[0] == sides[1] if resized else all(a in (b, None) for a, b in zip(wanted, given, strict=False))
    if len(wanted) != len(given) or not fits:
        raise InputError(
            f"{source.describe()}: the model takes rows of {' x '.join(map(str, wanted))}. "
            "Give data of that shape, or a folder of images, which is resized: -o data.image_size=N"
        )
