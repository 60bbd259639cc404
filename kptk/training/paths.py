"""Looks at the places that commands read from and write to, before Keras is imported."""

from __future__ import annotations

import zipfile
from pathlib import Path

from kptk import modelfile
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.runfolder import RunFolder

TABLES = (".csv", ".parquet", ".jsonl")
SUFFIXES = {"keras": ".keras", "savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}


def refuse_wrong_model(model: str) -> None:
    """Refuse what is neither the folder of a finished fine-tuning nor a ``.keras`` file.

    Args:
        model: the path.

    Raises:
        InputError: with what it is.
    """
    path = Path(model)
    if path.is_dir():
        folder = RunFolder.open(path)
        if not folder.finetuned:
            raise InputError(
                f"{path} is a pre-training run, which predicts nothing yet. Fine-tune it: kptk finetune {path} --task NAME"
            )
        _ = folder.model
    elif not path.exists():
        raise InputError(f"no run folder or .keras file at {model}.")
    elif not zipfile.is_zipfile(path):
        raise InputError(f"{path} is not a .keras file, whatever its name says.")


def finetuned_file(path: Path, plugins: Plugins) -> bool:
    """Whether a ``.keras`` file holds a fine-tuned model, by the name of its class and without loading it.

    Args:
        path: the file.
        plugins: the registry, which knows the strategies.

    Raises:
        InputError: if it is no ``.keras`` file.
    """
    config = modelfile.read_config(path)
    names = set()
    for offer in plugins.offers("strategy"):
        package, _, name = offer.spec.target.partition(":")
        names.add(f"{package.partition('.')[0]}>{name}")
    return isinstance(config, dict) and config.get("registered_name") in names


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Args:
        path: where the predictions are to go.

    Raises:
        UsageError: if its format is unknown or its folder is missing.
    """
    if path.suffix not in TABLES:
        raise UsageError(f"-o must end with {', '.join(TABLES)}. Received: {path}.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"no folder {path.absolute().parent} to write {path.name} to. Make it first.")


def default_target(path: Path, format: str) -> Path:
    """Where an export goes if the user does not say: beside the model.

    Args:
        path: the run folder or file.
        format: one of `FORMATS`.
    """
    folder = path if path.is_dir() else path.parent
    return folder / f"exported{SUFFIXES[format] or '-savedmodel'}"


def check_free(target: Path, format: str) -> None:
    """Refuse a place that is taken or has the wrong ending, before any work is done.

    Args:
        target: where the export goes.
        format: one of `FORMATS`.
    """
    suffix = SUFFIXES[format]
    if suffix and target.suffix != suffix:
        raise UsageError(f"-o must end with {suffix} for --format {format}. Received: {target}.")
    if target.exists():
        raise UsageError(f"{target} exists already. Name another -o.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"no folder {target.absolute().parent} to write {target.name} to. Make it first.")
