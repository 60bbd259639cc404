"""The hooks that a plugin may implement.

A plugin is an installed distribution with an entry point in the group ``kptk``; the entry point names a module, and
the module implements any of these hooks. Hooks take no arguments and yield frozen specs (`kptk.spec`). Keep Keras out
of that module: name implementations by string targets.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from kptk.spec import (
    BackboneSpec,
    CommandSpec,
    ComparisonSpec,
    DatasetSpec,
    ObjectiveSpec,
    PreprocessorSpec,
    RecipeSpec,
    StrategySpec,
    TaskSpec,
    TrackerSpec,
)

PROJECT = "kptk"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of a hook."""


@hookspec
def kptk_objectives() -> Iterable[ObjectiveSpec]:
    """Offer training objectives.

    Example:
        ```python
        @hookimpl
        def kptk_objectives():
            yield ObjectiveSpec(
                name="align",
                target="kptk_align.align:Align",
                summary="Alignment and uniformity on the unit sphere.",
                views=2,
                options=(Option(name="weight", default=1.0, low=0.0, help="Weight of uniformity."),),
                references=("https://arxiv.org/abs/2005.10242",),
            )
        ```
    """
    return ()


@hookspec
def kptk_backbones() -> Iterable[BackboneSpec]:
    """Offer networks from inputs to features.

    Example:
        ```python
        @hookimpl
        def kptk_backbones():
            yield BackboneSpec(
                name="tiny_cnn",
                target="kptk_align.tiny_cnn:tiny_cnn",  # def tiny_cnn(input_shape, width=16) -> keras.Model
                summary="Three convolutions and a global average.",
                options=(Option(name="width", type=int, default=16, low=1, help="Filters."),),
                min_size=8,
            )
        ```
    """
    return ()


@hookspec
def kptk_preprocessors() -> Iterable[PreprocessorSpec]:
    """Offer what turns a batch of inputs into the views that a model is shown.

    Example:
        ```python
        @hookimpl
        def kptk_preprocessors():
            yield PreprocessorSpec(
                name="noise_views",
                target="kptk_align.noise_views:NoiseViews",  # a keras.layers.Layer with `views` in __init__
                summary="Copies with Gaussian noise.",
                options=(Option(name="stddev", default=0.1, low=0.0, help="Standard deviation."),),
            )
        ```
    """
    return ()


@hookspec
def kptk_strategies() -> Iterable[StrategySpec]:
    """Offer ways to fine-tune a backbone on a task.

    Example:
        ```python
        @hookimpl
        def kptk_strategies():
            yield StrategySpec(
                name="bitfit", target="kptk_bitfit.bitfit:BitFit", summary="Trains biases and the head only."
            )
        ```
    """
    return ()


@hookspec
def kptk_tasks() -> Iterable[TaskSpec]:
    """Offer tasks: head, loss, metrics and the form of the predictions.

    Example:
        ```python
        @hookimpl
        def kptk_tasks():
            yield TaskSpec(
                name="classification",
                target="kptk_tasks.classification:Classification",
                summary="One class an example.",
                labels="class",
            )
        ```
    """
    return ()


@hookspec
def kptk_datasets() -> Iterable[DatasetSpec]:
    """Offer data sets that ship with the plugin, and readers of the user's own paths.

    Example:
        ```python
        @hookimpl
        def kptk_datasets():
            yield DatasetSpec(
                name="leaves",
                target="kptk_leaves.leaves:leaves",  # def leaves(split="train") -> kptk.data.Source
                summary="1,200 leaves of 30 species, 64 x 64, colour.",
                labels=True,
                samples=1200,
                licence="CC BY 4.0",
            )
        ```
    """
    return ()


@hookspec
def kptk_recipes() -> Iterable[RecipeSpec]:
    """Offer named assemblies: what ``kptk train --plugin NAME`` runs.

    Example:
        ```python
        @hookimpl
        def kptk_recipes():
            yield RecipeSpec(
                name="align",
                summary="Alignment and uniformity with a small CNN.",
                objective="align/align",
                backbone="align/tiny_cnn",
                preprocessor="vision/image_views",
                dataset="vision/mnist10k",
                settings={"train.epochs": 20},
                expect="kNN 95 % on digits in 2 minutes on 2 cores",
            )
        ```
    """
    return ()


@hookspec
def kptk_comparisons() -> Iterable[ComparisonSpec]:
    """Offer ready comparisons: what ``kptk compare --ready NAME`` runs.

    Example:
        ```python
        @hookimpl
        def kptk_comparisons():
            yield ComparisonSpec(
                name="align_or_contrast",
                summary="Alignment against contrast, both against scratch.",
                arms={
                    "align": {"objective": "align/align"},
                    "contrast": {"objective": "contrastive/contrastive"},
                    "scratch": {"objective": "scratch"},
                },
                data="vision/mnist10k",
                settings={"labels_per_class": "1,5,all", "budget": "20epochs"},
            )
        ```
    """
    return ()


@hookspec
def kptk_commands() -> Iterable[CommandSpec]:
    """Offer commands of the command line, for what a kind of model can do that no other can.

    Example:
        ```python
        @hookimpl
        def kptk_commands():
            yield CommandSpec(
                name="neighbours",
                target="kptk_align.commands:neighbours",  # a click.Command; import Keras inside its function
                summary="List the words whose vectors are nearest to a word's.",
            )
        ```
    """
    return ()


@hookspec
def kptk_trackers() -> Iterable[TrackerSpec]:
    """Offer trackers: what keeps the figures of a run in the form of another tool, for those who ask for it.

    Example:
        ```python
        @hookimpl
        def kptk_trackers():
            yield TrackerSpec(
                name="csv",
                target="kptk_align.csv_tracker:CsvTracker",  # a kptk.training.tracker.Tracker
                summary="A CSV file with a row an epoch.",
            )
        ```
    """
    return ()
