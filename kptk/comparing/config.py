"""`ComparisonConfig`: what a comparison is, whole, resolved without importing Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kptk import errors, settings
from kptk.budget import Budget
from kptk.config import Part, RunConfig

SCRATCH = "scratch"
OWN, SOURCE = "own", "source"
"""Where an arm pre-trains: on the rows of the comparison that are not tested, or on those of another data set."""
ALL = 0
"""As a number of labels per class: every row."""
WAYS = ("frozen", "lp-ft", "full-ft", "knn")
"""The ways to use labels that the harness has itself; others are strategies of plugins."""
ARM_KEYS = ("objective", "backbone", "preprocessor", "pretrain", "share", "ways", "settings")
"""What a table of an arm may say: the names of parts; ``pretrain``, a list of ``"own"`` and ``"source"``, one after the
other; ``share``, the part of the budget that it gets; ``ways``, how labels are used (strategies by full id); options."""
UNUSED = ("epochs", "seed", "dtype", "jit", "checkpoint_every", "stop_on")
"""Options of `[train]` that mean nothing here: the budget says how long."""
SECTIONS = ("objective", "backbone", "preprocessor", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmConfig:
    """One thing that is compared.

    Args:
        name: its name.
        objective: the objective with its options; None for training from scratch and for a finished run.
        backbone: the backbone with its options.
        preprocessor: what makes the views, or None.
        train: options of the optimiser.
        origin: the folder of a finished run whose encoder is used as it is, absolute; empty if none.
        pretrain: where it pre-trains, one after the other.
        share: the part of the budget that its pre-training gets.
        ways: how it uses labels.
    """

    name: str
    objective: Part | None
    backbone: Part
    preprocessor: Part | None
    train: Part
    origin: str = ""
    pretrain: tuple[str, ...] = (OWN,)
    share: float = 1.0
    ways: tuple[str, ...] = ("frozen", "lp-ft")

    @property
    def scratch(self) -> bool:
        """Whether it learns from labels alone."""
        return self.objective is None and not self.origin

    @property
    def sees_labels(self) -> bool:
        """Whether its pre-training sees the labels of the whole pool."""
        return bool(self.objective and self.objective.offer and self.objective.offer.spec.labels)

    def run_config(self, data: Part) -> RunConfig:
        """Its pre-training as the configuration of a run.

        Args:
            data: the data of the comparison.
        """
        assert self.objective is not None
        probe = Part(None, {option.name: option.default for option in settings.PROBE})
        return RunConfig(
            recipe="",
            objective=self.objective,
            backbone=self.backbone,
            preprocessor=self.preprocessor,
            data=data,
            train=self.train,
            probe=probe,
        )

    def sections(self) -> Iterator[tuple[str, Part]]:
        """Yield its parts by section."""
        for name in SECTIONS:
            part = getattr(self, name)
            if part is not None:
                yield name, part

    def teaching(self) -> dict[str, Any]:
        """What decides its pre-trained weights: arms of which this is the same share one pre-training."""
        parts = {name: {"name": part.id, **part.values} for name, part in self.sections()}
        return {**parts, "origin": self.origin, "pretrain": list(self.pretrain), "share": self.share}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonConfig:
    """A complete, checked configuration of a comparison.

    Args:
        data: the labelled data and its options.
        source: another data set to pre-train on, a path or a name; empty if no arm does.
        source_options: options of its reader.
        arms: what is compared.
        baseline: the arm that the others are compared with.
        values: options of `kptk.settings.COMPARE`.
        advice: what a ready comparison says behind its verdict.
    """

    data: Part
    source: str
    arms: tuple[ArmConfig, ...]
    baseline: str
    values: Mapping[str, Any]
    source_options: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels per class, 0 for all."""
        return parse_labels(self.values["labels_per_class"])

    @property
    def seeds(self) -> range:
        """The seeds."""
        first = self.values["first_seed"]
        return range(first, first + self.values["seeds"])

    @property
    def budget(self) -> Budget:
        """Pre-training of each arm."""
        return Budget.parse(self.values["budget"])

    def rates(self, name: str = "rates") -> tuple[float, ...]:
        """Learning rates to choose among.

        Args:
            name: ``"rates"`` or ``"scratch_rates"``.
        """
        return parse_rates(name, self.values[name])


def parse_labels(text: str) -> tuple[int, ...]:
    """Read ``"1,5,10,all"``.

    Args:
        text: numbers and the word ``all``.

    Raises:
        UsageError: if it is anything else.
    """
    words = [word.strip().lower() for word in text.split(",")]
    if not all(word == "all" or (word.isdigit() and int(word) > 0) for word in words):
        raise errors.bad_value("labels_per_class", "numbers of at least 1 and 'all', such as 1,5,10,all", text)
    return tuple(dict.fromkeys(ALL if word == "all" else int(word) for word in words))


def parse_ways(text: str) -> tuple[str, ...]:
    """Read ``"frozen,lp-ft,finetune/lora"``.

    Args:
        text: ways of the harness, and full ids of strategies.

    Raises:
        UsageError: if one is neither.
    """
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words or not all(word in WAYS or "/" in word for word in words):
        raise errors.bad_value(
            "ways", f"some of {', '.join(WAYS)} or full ids of strategies, such as finetune/lora", text
        )
    return words


def parse_rates(name: str, text: str) -> tuple[float, ...]:
    """Read ``"0.001,0.0003"``.

    Args:
        name: the option, for the message.
        text: numbers above 0.

    Raises:
        UsageError: if it is anything else.
    """
    try:
        rates = tuple(float(word) for word in text.split(","))
    except ValueError:
        rates = ()
    if not rates or min(rates) <= 0:
        raise errors.bad_value(name, "learning rates above 0, such as 0.001,0.0003", text)
    return rates
