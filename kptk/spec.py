"""What a plugin says about what it offers: frozen data, no code.

A spec names its implementation by a *string target*, ``"package.module:Class"``. The target is imported by
`Spec.load()` and by nothing earlier, which is why ``kptk --help``, ``list``, ``show`` and the refusal of a wrong
assembly never import Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kptk.option import Option as Option
from kptk.spec_base import COMMAND_NAME
from kptk.spec_base import NAME as NAME
from kptk.spec_base import SUMMARY_LENGTH as SUMMARY_LENGTH
from kptk.spec_base import TARGET as TARGET
from kptk.spec_base import Spec as Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveSpec(Spec):
    """A training objective: its target is a `kptk.Pretrainer` class called with ``backbone`` and ``views``.

    Args:
        inputs: the kinds of input it works on; empty for any.
        views: how many views of each example a step needs; 1 means the example as it is.
        labels: whether it learns from labels.
        labels_optional: whether it does so only where there are some, and works without.
        classes: whether its target is also called with ``num_classes``, the number of classes of the data, which is 0
            without labels.
        features: what it needs of the backbone: ``"vector"``, ``"map"``, ``"sequence"``, or ``"patches"`` for one with
            the stages of `kptk.training.patches`.
        min_batch: the smallest batch it can learn from.
        needs: options that have no default and must be given, such as ``("teacher",)``.
        suggests: settings of other parts that it needs, such as ``{"preprocessor.noise": 0.0}``; stronger than what the
            data set suggests.
        chance: the formula of the loss of a model that has learned nothing, for people to read.
        cost: what a step costs beside one supervised step.
        when: when to use it, in one sentence.
    """

    kind: ClassVar[str] = "objective"

    inputs: tuple[str, ...] = ()
    views: int = 1
    labels: bool = False
    labels_optional: bool = False
    classes: bool = False
    features: str = "vector"
    min_batch: int = 1
    needs: tuple[str, ...] = ()
    suggests: Mapping[str, Any] = field(default_factory=dict, hash=False)
    chance: str = ""
    cost: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec(Spec):
    """A network from inputs to features: its target is called with ``input_shape`` and returns a `keras.Model`.

    Args:
        inputs: the kind of input it takes; empty for any, which only the loaded model tells.
        features: what it returns: ``"vector"``, ``"map"`` or ``"sequence"``; empty if only the loaded model tells.
        min_size: the smallest side, in pixels, or length that it can take; 0 for any.
        patches: whether it has the stages of `kptk.training.patches`.
        reads: the suffixes of the model files that it loads, such as ``".keras"``, and ``"folder"`` for a folder with a
            ``config.json``; it then has an option ``path``, and a path can be written where its name would stand. Empty
            for a network of its own.
        holds: packages besides Keras whose classes a saved backbone holds, such as ``"keras_hub"``, so that loading it
            takes them. Only those that Keras itself imports when it loads a file.
        suggests: settings of other parts that suit it, such as ``{"train.learning_rate": 3e-3}``; stronger than the recipe,
            weaker than what data set and objective suggest.
    """

    kind: ClassVar[str] = "backbone"

    inputs: str = "image"
    features: str = "vector"
    min_size: int = 0
    patches: bool = False
    reads: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    suggests: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessorSpec(Spec):
    """Makes what the model is shown: its target is a `keras.layers.Layer` from a batch to a tuple of views.

    Args:
        inputs: the kind of input it takes.
        views: how many views it makes; 0 means as many as the objective asks for, passed as ``views``.
        fits: whether it learns from the training rows, or turns rows that are no numbers into numbers, before the model.
        refuses: ``"package.module:function"`` that is called with raw rows to pre-train on and the options, and raises
            `InputError` if nothing can be made of them. It must not import Keras, which is not loaded yet. Empty for none.
    """

    kind: ClassVar[str] = "preprocessor"

    inputs: str = "image"
    views: int = 0
    fits: bool = False
    refuses: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySpec(Spec):
    """A way to fine-tune: from a backbone and a task to a `keras.Model`.

    Args:
        inputs: the kinds of input it works on; empty for any.
        stage: when it runs, ``"finetune"`` or ``"adapt"``.
        features: what it gives the task: ``"map"`` if it adds a decoder; empty for what the backbone returns.
        writes: whether it also adds a decoder for tasks that write a text, whose features are a ``"target"``.
        needs: options that have no default and must be given, such as ``("teacher",)``.
        several: whether it is for several tasks at once, so that a task of one is refused.
        cost: what it costs beside training all weights.
        when: when to use it, in one sentence.
    """

    kind: ClassVar[str] = "strategy"

    inputs: tuple[str, ...] = ()
    stage: str = "finetune"
    features: str = ""
    writes: bool = False
    needs: tuple[str, ...] = ()
    several: bool = False
    cost: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec(Spec):
    """A task: head, loss, metrics and the form of its predictions.

    Args:
        inputs: the kinds of input it works on; empty for any.
        labels: what its labels are: ``"class"``, ``"number"``, ``"mask"``, ``"tags"``, ``"span"``, ``"text"``, ``"score"`` or
            ``""`` for none.
        form: the form of its examples where one is more than an input with an answer, such as ``"tagged_words"``; it then
            learns from data of that form. Empty for plain rows.
        features: what it needs of the backbone: ``"vector"``, ``"map"``, ``"sequence"``; ``"pair"``, the vectors of two inputs
            that the backbone reads each by itself; or ``"target"``, a vector for each place of a text that is written, which
            takes a strategy that `writes`.
        several: whether it holds several tasks, see `kptk.training.task.Task.task_names`.
    """

    kind: ClassVar[str] = "task"

    inputs: tuple[str, ...] = ()
    labels: str = "class"
    form: str = ""
    features: str = "vector"
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(Spec):
    """Data: a named set that ships with a plugin, or a reader of the user's own paths.

    Args:
        inputs: the kind of input it holds.
        labels: whether it can hold labels.
        form: the form of its examples, as in `TaskSpec`: such data is read for a task of that form and for nothing else.
        reads: what paths it reads: file suffixes such as ``".npz"``, and ``"folder"``; empty for a named set.
        needs: options that have no default and must be given: a reader of paths that others read too is then taken only where
            the user gave them, such as ``("image",)`` for the column of a table that names pictures.
        full_of: for a reader of folders: what kinds of files such a folder is full of, each given by its endings, such as
            ``((".png", ".jpg"), (".txt",))`` for pictures with as many texts. Chooses among readers of the same folder.
        refuses: ``"package.module:function"`` where a suffix does not say enough, called with the path and the names of the
            options that the user set. A quick look, such as at the shapes of arrays: it raises `InputError` if the file is not
            for this reader. It must not import Keras. Empty for none.
        suggests: settings that suit this data, such as ``{"preprocessor.flip": 0.0}`` for digits.
        samples: how many examples there are, 0 when it depends on the path.
        licence: the data's licence, in a few words.
    """

    kind: ClassVar[str] = "dataset"

    inputs: str = "image"
    labels: bool = False
    form: str = ""
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    full_of: tuple[tuple[str, ...], ...] = ()
    refuses: str = ""
    suggests: Mapping[str, Any] = field(default_factory=dict, hash=False)
    samples: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec(Spec):
    """A named assembly, what ``kptk train --plugin NAME`` runs. It has no target.

    Args:
        objective: name of the objective.
        backbone: name of the backbone.
        preprocessor: name of the preprocessor, empty for none.
        dataset: name of the data set used when the user gives none.
        strategy: name of the strategy that fine-tuning uses by default.
        instead_of: id of a recipe for another kind of input that this one stands in for: ``--plugin contrastive`` means it when
            the data is of the kind that its backbone takes. It then needs no name that people type.
        settings: options that differ from the parts' own defaults, ``{"train.epochs": 40}``.
        expect: what to expect, with the time: ``"kNN 95 % on digits in 2 min on 2 cores"``.
    """

    kind: ClassVar[str] = "recipe"

    objective: str = ""
    backbone: str = ""
    preprocessor: str = ""
    dataset: str = ""
    strategy: str = ""
    instead_of: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    expect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec(Spec):
    """A command ``kptk NAME`` that is none of the core's: its target is a `click.Command` or a group of them.

    Its name may hold hyphens.
    """

    kind: ClassVar[str] = "command"
    pattern = COMMAND_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSpec(Spec):
    """Keeps what a run says of itself in the form of another tool: its target is a `kptk.training.tracker.Tracker` class.

    Args:
        needs: packages that it imports when it is used, by their import names, such as ``("mlflow",)``.
        install: what brings them, for ``pip install``: ``"kptk-trackers[mlflow]"``.
    """

    kind: ClassVar[str] = "tracker"

    needs: tuple[str, ...] = ()
    install: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSpec(Spec):
    """A ready comparison, what ``kptk compare --ready NAME`` runs. It has no target.

    Args:
        arms: what is compared, by name; see `kptk.comparing.ARM_KEYS`. An arm without an objective gets `objective`.
        objective: the objective of such arms, unless the user names another.
        data: the data set used when the user gives none.
        source: the other data set to pre-train on, for arms that do, when the user gives none.
        baseline: the arm that the others are compared with.
        settings: options of the comparison, ``{"labels_per_class": "1,5,all"}``; of the other data ``"source.NAME"``.
        advice: a sentence or two on what to do with the result, and what others found.
    """

    kind: ClassVar[str] = "comparison"

    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    objective: str = ""
    data: str = ""
    source: str = ""
    advice: str = ""
    baseline: str = "scratch"
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


SPECS: dict[str, type[Spec]] = {
    spec.kind: spec
    for spec in (
        ObjectiveSpec,
        BackboneSpec,
        PreprocessorSpec,
        StrategySpec,
        TaskSpec,
        DatasetSpec,
        RecipeSpec,
        CommandSpec,
        ComparisonSpec,
        TrackerSpec,
    )
}
"""Every kind of offer, by its name."""

PLURALS: dict[str, str] = {kind: "strategies" if kind == "strategy" else f"{kind}s" for kind in SPECS}
"""The plural of each kind, which also names its hook: ``kptk_objectives``."""
