"""From a configuration to objects: data, model, optimiser. The first place where a run imports Keras."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from kptk import assembly, errors, settings
from kptk.caching import cached
from kptk.config import HOLDOUT, Part, RunConfig
from kptk.data import Source
from kptk.locating import locate, locate_like
from kptk.parts import Choice
from kptk.plugins import Plugins, load_target

FEATURE_AXES = {"vector": 1, "sequence": 2, "map": 3}
"""Axes of the features of one input, by their form."""
CORE_DATA_OPTIONS = {option.name for option in settings.DATA}


def open_source(part: Part, seed: int) -> Source:
    """Open the data of a configuration.

    Args:
        part: the `[data]` section.
        seed: decides which rows a fraction and a limit keep.

    Returns:
        The rows that its options ask for.

    Raises:
        InputError: if the data cannot be used.
    """
    assert part.offer is not None
    options = {key: value for key, value in part.values.items() if key not in CORE_DATA_OPTIONS}
    arguments = [part.values["path"]] if part.offer.spec.reads else []
    source: Source = load_target(part.offer)(*arguments, **options)  # type: ignore[operator]
    values = part.values
    wanted = Choice(part=values["part"], fraction=values["fraction"], limit=values["limit"], seed=seed)
    return cached(wanted.of(source), values["cache"])


def open_data(config: RunConfig) -> Source:
    """Open the data of a run and refuse what is too little for a batch. Needs no Keras.

    Args:
        config: the configuration.

    Raises:
        InputError: if the data cannot be used, lacks labels that are needed, or has fewer rows than one batch.
    """
    source = open_source(config.data, config.train.values["seed"])
    assembly.check_labels(config, source)
    refuse_rows(config.preprocessor, source)
    batch_size = config.train.values["batch_size"]
    prepared = config.preprocessor is not None and config.preprocessor.offer and config.preprocessor.offer.spec.fits
    if len(source) < batch_size and not prepared:  # prepared rows are counted once they are there
        raise errors.InputError(
            f"the data has {len(source):,} examples, fewer than one batch of {batch_size:,}. "
            f"Use a smaller batch (--batch-size {max(len(source), 2)}) or more data."
        )
    return source


def refuse_rows(preprocessor: Part | None, source: Source) -> None:
    """Raise if a preprocessor can make nothing of rows to pre-train on. Needs no Keras.

    Args:
        preprocessor: the `[preprocessor]` section, or None.
        source: raw rows.

    Raises:
        InputError: with the reason.
    """
    if preprocessor is None or preprocessor.offer is None or not preprocessor.offer.spec.refuses:
        return
    module, _, name = preprocessor.offer.spec.refuses.partition(":")
    getattr(importlib.import_module(module), name)(source, preprocessor.values)


def open_named(plugins: Plugins, data: str, inputs: str = "", form: str = "", **options: Any) -> Source:
    """Open data by path or name with the defaults of its reader.

    Args:
        plugins: the registry.
        data: a path or the name of a data set.
        inputs: the kind of input wanted, to choose among readers of the same paths; empty for any.
        form: the form of example wanted, see `kptk.spec.TaskSpec`.
        **options: options of the reader; those that it does not have are left out if their value is None.
    """
    offer, path = locate(plugins, data, inputs, given=_said(options), form=form)
    known = {option.name: option for option in offer.spec.options}
    given = {}
    for name, value in options.items():
        if name in known:
            given[name] = known[name].check(value) if value is not None else known[name].default
        elif value is not None:
            raise errors.unknown_option(offer.id, name, list(known))
    source: Source = load_target(offer)(*([str(path)] if path else []), **given)  # type: ignore[operator]
    return source


def _said(options: Mapping[str, Any]) -> list[str]:
    """Names of the options that have a value."""
    return [name for name, value in options.items() if value not in (None, "")]


def open_probe(plugins: Plugins, config: RunConfig, source: Source) -> Source | None:
    """Open the labelled data of the kNN check while training, if there is any.

    Args:
        plugins: the registry.
        config: the configuration.
        source: the training data, whose own test part ``"holdout"`` means.
    """
    wanted = config.probe.values["data"]
    if not wanted:
        return None
    if wanted == HOLDOUT:
        holdout = source.holdout()
        return holdout if holdout is not None and holdout.labels is not None else None
    return open_like(plugins, wanted, source.row_shape, like(config.data, source.row_shape), source.inputs)


def like(part: Part, row_shape: tuple[int, ...]) -> dict[str, Any]:
    """Options with which other data is read like the data of a run: images at its size, the same columns of a table.

    Args:
        part: the `[data]` section of the run.
        row_shape: shape of its raw rows.
    """
    assert part.offer is not None
    own = {option.name for option in part.offer.spec.options}
    wanted = {key: value for key, value in part.values.items() if key in own}
    if len(row_shape) == 3:
        wanted |= {"image_size": row_shape[0], "channels": row_shape[-1]}
    # Rows to predict for have no label, and may lack what else the training table had beside its inputs.
    return wanted | ({"absent": "ignore"} if "absent" in own else {})


def open_like(
    plugins: Plugins,
    data: str,
    row_shape: tuple[int, ...] | None,
    wanted: dict[str, Any],
    inputs: str = "",
    form: str = "",
) -> Source:
    """Open data in the shape that a model takes, or say that it does not fit.

    Args:
        plugins: the registry.
        data: a path or the name of a data set.
        row_shape: what the model takes; None if a fitted preprocessor is to say whether the rows fit.
        wanted: options of the reader that ask for that, used if the reader has them.
        inputs: the kind of input wanted, to choose among readers of the same paths; empty for any.
        form: the form of example wanted, see `kptk.spec.TaskSpec`.
    """
    offer, _ = locate_like(plugins, data, inputs, given=_said(wanted), form=form)
    known = {option.name for option in offer.spec.options}
    chosen = {key: value for key, value in wanted.items() if key in known}
    source = open_named(plugins, data, offer.spec.inputs, form, **chosen)
    if row_shape is not None and tuple(source.row_shape) != tuple(row_shape):
        raise errors.InputError(
            f"{source.describe()}: the model takes rows of {' x '.join(map(str, row_shape))}. "
            "Give data of that shape, or a folder of images, which is resized."
        )
    return source


def build_preprocessor(part: Part | None, views: int, seed: int | None) -> Any:
    """Build the layer that makes the views.

    Args:
        part: the `[preprocessor]` section, or None.
        views: how many views the objective needs.
        seed: of its random numbers.
    """
    if part is None or part.offer is None:
        return None
    return load_target(part.offer)(views=views, seed=seed, **part.values)  # type: ignore[operator]


def build_backbone(part: Part, input_shape: tuple[int, ...]) -> Any:
    """Build the backbone, or say why it cannot take such inputs.

    Args:
        part: the `[backbone]` section.
        input_shape: shape of one input.

    Raises:
        UsageError: if the inputs are too small for it.
    """
    assert part.offer is not None
    spec = part.offer.spec
    sides = input_shape[:-1] if spec.inputs == "image" else input_shape[:1]
    if spec.min_size and min(sides, default=0) < spec.min_size:
        raise errors.UsageError(
            f"backbone {part.id} needs inputs of at least {spec.min_size} pixels a side. Received: {input_shape}."
        )
    return load_target(part.offer)(input_shape, **part.values)  # type: ignore[operator]


def backbone_behind(part: Part, views: Any, row_shape: tuple[int, ...]) -> Any:
    """Build the backbone that takes what a preprocessor makes of the rows.

    Args:
        part: the `[backbone]` section.
        views: the preprocessor, fitted if it is one to fit; or None.
        row_shape: shape of a row, prepared if the preprocessor prepares rows.
    """
    if views is not None:
        row_shape = tuple(views.view_shape(row_shape))
        told = {k: v for k, v in views.backbone_options().items() if part.values.get(k, v) in (0, "")}
        part = Part(part.offer, {**part.values, **told})
    return build_backbone(part, row_shape)


def build_model(config: RunConfig, source: Source, backbone: Any = None, views: Any = "new") -> Any:
    """Build the pretrainer: objective around backbone and views.

    Args:
        config: the configuration.
        source: the data, for the shape of the inputs: prepared, if its preprocessor prepares rows.
        backbone: the network to teach; None builds the configuration's.
        views: the preprocessor, if it is built already: it must be if it is one that is fitted.

    Returns:
        A `kptk.Pretrainer`, not compiled.
    """
    assert config.objective.offer is not None
    if views == "new":
        views = build_preprocessor(config.preprocessor, config.views, config.train.values["seed"])
    if backbone is None:
        backbone = backbone_behind(config.backbone, views, tuple(source.row_shape))
    _refuse_wrong_features(config, backbone)
    target = load_target(config.objective.offer)
    # An objective that lets the user choose how many views hands that number to the preprocessor.
    arguments = {key: value for key, value in config.objective.values.items() if key != "views"}
    if config.objective.offer.spec.classes:
        arguments["num_classes"] = len(source.class_names)
    return target(backbone, views, **arguments)  # type: ignore[operator]


def _refuse_wrong_features(config: RunConfig, backbone: Any) -> None:
    """What a spec could not say before the model was loaded: whether its features are of the form that is needed."""
    assert config.objective.offer and config.backbone.offer
    needed = config.objective.offer.spec.features
    if config.backbone.offer.spec.features or needed == "vector":
        return
    from kptk.training import backbones  # imports Keras, which opening data does not need

    shape = backbones.output_shape(backbone)
    if len(shape) != FEATURE_AXES[needed]:
        raise errors.UsageError(
            f"objective {config.objective.id} needs a backbone that returns a {needed}; {config.backbone.id} returns "
            f"features of shape {shape}. See: kptk list backbones"
        )
