"""Refuses parts that do not fit together, from the facts in their specs and without importing Keras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kptk import modelfile
from kptk.config import RunConfig
from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.tracking import require_packages


def check(config: RunConfig) -> None:
    """Raise if the parts of a configuration cannot work together.

    Args:
        config: a resolved configuration.

    Raises:
        UsageError: with one sentence for each misfit, naming both parts; or if a tracker lacks its package.
    """
    misfits = list(_misfits(config))
    if misfits:
        raise UsageError("\n".join(misfits))
    require_packages(config.trackers)


def check_labels(config: RunConfig, source: Source) -> None:
    """Raise if the objective learns from labels and the data that was opened has none, or says nothing by them.

    A reader's spec only says that its data *can* have labels.

    Args:
        config: a resolved configuration.
        source: its data.

    Raises:
        InputError: with the objective and the data in one sentence.
    """
    assert config.objective.offer is not None
    objective = config.objective.offer
    if not objective.spec.labels:
        return
    if source.labels is None:
        if objective.spec.labels_optional:
            return
        raise InputError(
            f"objective {objective.id} learns from labels, and {source.describe()}. Use a folder with a sub-folder for "
            "each class, an .npz with x and y, or an objective without labels: kptk list objectives"
        )
    if len(set(source.labels.tolist())) < 2:
        raise InputError(
            f"objective {objective.id} learns to tell classes apart, and all rows are of one class in {source.describe()}."
        )


def _misfits(config: RunConfig) -> Iterator[str]:
    assert config.objective.offer and config.backbone.offer and config.data.offer
    objective, backbone, data = config.objective.offer, config.backbone.offer, config.data.offer
    if backbone.spec.reads:
        yield from _model_file_misfits(config)
    inputs, owner = _inputs(config)
    if objective.spec.inputs and inputs not in objective.spec.inputs:
        yield (
            f"objective {objective.id} works on {' or '.join(objective.spec.inputs)} but {owner} {inputs}. "
            "See: kptk list backbones"
        )
    if backbone.spec.inputs and data.spec.inputs != backbone.spec.inputs:
        yield (
            f"backbone {backbone.id} takes {backbone.spec.inputs} but data {data.id} holds {data.spec.inputs}. "
            "Choose a backbone for that input: kptk list backbones"
        )
    if objective.spec.features == "patches" and not backbone.spec.patches:
        yield (
            f"objective {objective.id} needs a backbone that works on patches, such as a Vision Transformer, but "
            f"{backbone.id} does not. See: kptk list backbones"
        )
    elif objective.spec.features not in ("vector", "patches") and backbone.spec.features not in (
        "",
        objective.spec.features,
    ):
        yield (
            f"objective {objective.id} needs a backbone that returns a {objective.spec.features} but {backbone.id} "
            f"returns a {backbone.spec.features}. See: kptk list backbones"
        )
    if objective.spec.labels and not objective.spec.labels_optional and not data.spec.labels:
        yield f"objective {objective.id} learns from labels but data {data.id} has none."
    for name in objective.spec.needs:
        if not config.objective.values.get(name):
            yield f"objective {objective.id} needs -o objective.{name}=...: {objective.spec.option(name).help}"
    batch = config.train.values["batch_size"]
    if batch < objective.spec.min_batch:
        yield (
            f"objective {objective.id} needs at least {objective.spec.min_batch} examples a step; "
            f"--batch-size is {batch}."
        )
    yield from _preprocessor_misfits(config)


def _inputs(config: RunConfig) -> tuple[str, str]:
    """The kind of input of the run, and who says so: the data, if the backbone takes any kind."""
    assert config.backbone.offer and config.data.offer
    if config.backbone.offer.spec.inputs:
        return config.backbone.offer.spec.inputs, f"backbone {config.backbone.id} takes"
    return config.data.offer.spec.inputs, f"data {config.data.id} holds"


def _model_file_misfits(config: RunConfig) -> Iterator[str]:
    assert config.backbone.offer
    path = str(config.backbone.values.get(modelfile.OPTION, ""))
    kinds = config.backbone.offer.spec.reads
    if not path:
        example = "FOLDER" if kinds[0] == "folder" else f"FILE{kinds[0]}"
        yield f"backbone {config.backbone.id} loads a model file and none was named. Name it: --backbone {example}"
    elif not modelfile.readable(Path(path), kinds) and (Path(path).exists() or "folder" not in kinds):
        yield f"backbone {config.backbone.id} loads {' or '.join(map(_kind, kinds))}. Received: {path}"
    else:
        modelfile.existing(path, kinds)


def _kind(kind: str) -> str:
    return "a folder with a config.json" if kind == "folder" else f"{kind} files"


def _preprocessor_misfits(config: RunConfig) -> Iterator[str]:
    assert config.objective.offer
    objective = config.objective.offer
    if config.preprocessor is None or config.preprocessor.offer is None:
        if config.views > 1:
            yield (
                f"objective {objective.id} needs {config.views} views of each example but there is no preprocessor "
                "that makes them. Add --preprocessor NAME; see: kptk list preprocessors"
            )
        return
    preprocessor = config.preprocessor.offer
    inputs, owner = _inputs(config)
    if preprocessor.spec.inputs != inputs:
        yield f"preprocessor {preprocessor.id} takes {preprocessor.spec.inputs} but {owner} {inputs}."
    made = preprocessor.spec.views
    if made and made != config.views:
        yield (
            f"objective {objective.id} needs {config.views} views of each example but preprocessor {preprocessor.id} "
            f"makes {made}."
        )
