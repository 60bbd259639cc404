"""What a fine-tuning starts from: the backbone and the preprocessor of a run or of a saved model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptk.errors import InputError
from kptk.finetuning import FineTuneConfig
from kptk.plugins import Plugins
from kptk.runfolder import RunFolder
from kptk.training.assemble import build_preprocessor
from kptk.training.prepared import load_preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.receipt import Receipt, checksum, transfer
from kptk.training.saving import load_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A pre-trained backbone with what feeds it.

    Args:
        name: the run folder or file.
        backbone: the backbone, as loaded.
        preprocessor: prepares raw inputs, or None.
        unused: tensors of the saved model that do not belong to the backbone.
        checksum: of the backbone's weights.
    """

    name: str
    backbone: keras.Model
    preprocessor: Any
    unused: tuple[str, ...]
    checksum: str


def open_origin(config: FineTuneConfig, plugins: Plugins) -> Origin:
    """Load what a fine-tuning starts from.

    Args:
        config: the configuration.
        plugins: the registry.

    Raises:
        InputError: if the file is no Keras model, holds code, or has no weights to transfer.
    """
    path = Path(config.origin)
    model = load_model(RunFolder(path).backbone if path.is_dir() else path, plugins, compile=False)
    refuse_lambda(model, path)
    backbone, unused = model, ()
    preprocessor = load_preprocessor(RunFolder(path), plugins) if path.is_dir() else None
    if preprocessor is None:
        preprocessor = build_preprocessor(config.preprocessor, 1, config.train.values["seed"])
    if isinstance(model, Pretrainer):
        backbone = model.backbone
        inside = {id(weight) for weight in backbone.weights}
        unused = tuple(weight.path for weight in model.weights if id(weight) not in inside)
        preprocessor = model.views if model.views is not None else preprocessor
    check_backbone(backbone, str(path))
    return Origin(
        name=config.origin,
        backbone=backbone,
        preprocessor=preprocessor,
        unused=unused,
        checksum=checksum(backbone),
    )


def refuse_lambda(model: keras.Model, path: Path) -> None:
    """Refuse a model with a Lambda layer: its code would be part of everything that is made of it.

    Args:
        model: a loaded model.
        path: where it came from.

    Raises:
        InputError: if it has one.
    """
    found = [layer.name for layer in model._flatten_layers() if isinstance(layer, keras.layers.Lambda)]
    if found:
        raise InputError(
            f"{path} holds the Lambda layer '{found[0]}', which is code in a file. Save it without Lambda layers."
        )


def check_backbone(backbone: keras.Model, name: str) -> None:
    """Refuse a model that cannot be a backbone.

    Args:
        backbone: the model.
        name: what to call it in messages.

    Raises:
        InputError: if it has no weights, or more than one input or output.
    """
    if not backbone.weights:
        raise InputError(f"{name} has no weights, so there is nothing to transfer. Give a pre-trained model.")
    try:
        shapes = (backbone.input_shape, backbone.output_shape)
    except AttributeError:
        shapes = ([], [])
    if any(not isinstance(shape, tuple) or not shape or isinstance(shape[0], (tuple, list)) for shape in shapes):
        raise InputError(f"{name} must have one input and one output, from inputs to features.")


def transplant(origin: Origin) -> tuple[keras.Model, Receipt]:
    """Build the origin's network anew and copy its weights into it, so that the receipt says what really happened.

    Args:
        origin: what was loaded.

    Returns:
        The copy and the receipt of the transfer.
    """
    clone = type(origin.backbone).from_config(origin.backbone.get_config())
    if not clone.built:
        clone.build(origin.backbone.input_shape)
    receipt = transfer(origin.backbone, clone, name=origin.name)
    if checksum(clone) != origin.checksum:
        raise InputError(f"{origin.name}: {len(receipt.missing)} tensors could not be copied: {receipt}")
    return clone, replace(receipt, unused=(*receipt.unused, *origin.unused))


def count(variables: Any) -> int:
    """How many numbers some variables hold.

    Args:
        variables: Keras variables.
    """
    return int(sum(np.prod(variable.shape) for variable in variables))


def receipt_of(model: Any, receipt: Receipt) -> Receipt:
    """Add to a receipt what the strategy and task brought, and what no phase trains.

    Args:
        model: the fine-tuned model.
        receipt: of the backbone's transfer.
    """
    phases = model.phases()
    trained = {id(variable) for phase in phases for variable in phase.weights}
    inside = {id(variable) for variable in model.backbone.variables}
    seeds = ("seed_generator_state",)
    new = [v.path for v in model.weights if id(v) not in inside and not v.path.endswith(seeds)]
    live = any(phase.live for phase in phases)
    # Moving statistics change in a live phase without being trained.
    tunable = {id(variable) for variable in model.tunable}
    frozen = [v.path for v in model.weights if id(v) not in trained and (id(v) in tunable or not live)]
    return replace(receipt, missing=(*receipt.missing, *new), frozen=tuple(frozen))
