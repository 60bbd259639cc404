"""The Python spelling of fine-tuning: `kptk.finetune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kptk import errors
from kptk.config import Part
from kptk.discovery import Offer
from kptk.plugins import Plugins
from kptk.training import backend

if TYPE_CHECKING:
    import keras

    from kptk.training.strategy import Strategy
    from kptk.training.task import Task


def finetune(
    strategy: str,
    backbone: keras.Model,
    *,
    task: str | Task = "classification",
    num_classes: int = 0,
    class_names: Sequence[str] = (),
    row_shape: Sequence[int] = (),
    preprocessor: Any = "default",
    augment: bool = False,
    **options: Any,
) -> Strategy:
    """Put a task on a pre-trained backbone; ``compile`` and ``fit`` do the rest.

    The backbone itself is trained, not a copy of it.

    Args:
        strategy: short name or full id, see ``kptk list strategies``.
        backbone: any `keras.Model` from inputs to features.
        task: short name or full id, see ``kptk list tasks``; or a `Task`.
        num_classes: number of classes, if they have no names.
        class_names: the name of each class.
        row_shape: shape of one raw input; that of the backbone's input if empty.
        preprocessor: a layer, the name of a preprocessor, None if `fit` gets what the backbone takes; by default what
            recipes use for images if the backbone takes images, otherwise None.
        augment: whether training steps see random views.
        **options: options of the strategy and of the task.

    Returns:
        A `keras.Model` from raw inputs to the task's outputs.

    Raises:
        UsageError: if a name or option is wrong.
        InputError: if the backbone cannot be one.

    Example:
        >>> import keras, kptk
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.finetune("lp-ft", backbone, task="classification", num_classes=10)
        >>> model.compile(keras.optimizers.AdamW(1e-3))
        >>> model.task.class_names[:3]
        ('0', '1', '2')
    """
    backend.import_keras()
    from kptk.training.assemble_task import build_strategy, build_task
    from kptk.training.origin import check_backbone
    from kptk.training.task import Task

    plugins = Plugins()
    check_backbone(backbone, f"the backbone {backbone.name}")
    chosen = plugins.find("strategy", strategy)
    own, rest = _divided(chosen, options)
    shape = tuple(row_shape) or tuple(backbone.input_shape[1:])
    if isinstance(task, Task):
        head = task
        if rest:
            raise errors.unknown_option(chosen.id, next(iter(rest)), [option.name for option in chosen.spec.options])
    else:
        offer = plugins.find("task", task)
        names = tuple(str(name) for name in class_names) or tuple(str(number) for number in range(num_classes))
        if offer.spec.labels == "class" and len(names) < 2:
            raise errors.bad_value("num_classes", "an integer of at least 2, or give class_names", num_classes)
        mine, unknown = _divided(offer, rest)
        if unknown:
            known = [option.name for part in (chosen, offer) for option in part.spec.options]
            raise errors.unknown_option(f"{chosen.id} with {offer.id}", next(iter(unknown)), known)
        head = build_task(Part(offer, mine), names, shape)
    layer = _preprocessor(plugins, preprocessor, shape)
    return build_strategy(Part(chosen, own), backbone, head, layer, augment=augment)


def _divided(offer: Offer, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of an offer, checked and completed; and the rest."""
    known = {option.name: option for option in offer.spec.options}
    own = {}
    for name, option in known.items():
        value = options.get(name, option.default)
        is_object = option.objects and not isinstance(value, str | int | float | None)
        own[name] = value if is_object else option.check(value)
    return own, {name: value for name, value in options.items() if name not in known}


def _preprocessor(plugins: Plugins, wanted: Any, row_shape: tuple[int, ...]) -> Any:
    if not isinstance(wanted, str):
        return wanted
    from kptk.finetuning import usual_preprocessor
    from kptk.plugins import load_target

    if wanted == "default":
        offer = usual_preprocessor(plugins, "image") if len(row_shape) == 3 else None
        if offer is None:
            return None
    else:
        offer = plugins.find("preprocessor", wanted)
    return load_target(offer)(views=1, seed=None)  # type: ignore[operator]


def predict(model: str, data: str, out: str, **options: Any) -> dict[str, Any]:
    """Write predictions, as ``kptk predict`` does; see `kptk.training.finetuned.predict`.

    Args:
        model: the folder of a fine-tuning, or a ``.keras`` file.
        data: a path or the name of a data set.
        out: ends with ``.csv``, ``.parquet`` or ``.jsonl``.
        **options: ``on_bad_input``; ``options``, how a task makes predictions of its outputs.
    """
    backend.import_keras()
    from kptk.training.finetuned import predict as write

    return write(model, data, out, **options)


def export(model: str, format: str = "keras", out: str = "") -> dict[str, Any]:
    """Write a model for use elsewhere, as ``kptk export`` does; see `kptk.training.export.export`.

    Args:
        model: the folder of a fine-tuning, or a ``.keras`` file.
        format: ``"keras"``, ``"savedmodel"``, ``"onnx"`` or ``"litert"``.
        out: where to; beside the model if empty.
    """
    backend.import_keras()
    from kptk.training.export import export as write

    return write(model, format, out)
