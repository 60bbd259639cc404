"""Labelled rows of a fine-tuning: which ones train, which choose, which only the final figure sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source, Subset
from kptk.errors import InputError, UsageError
from kptk.training.examples import count_examples
from kptk.training.task import Task

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows with their labels.

    Args:
        source: the rows.
        labels: as the task takes them, None for a task without labels.
    """

    source: Source
    labels: Array | None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def examples(self) -> int:
        """Rows of the data that they come from."""
        return count_examples(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The parts of labelled data.

    Args:
        train: rows to learn from.
        validation: rows to choose by, drawn from the training labels; None for none.
        test: the data set's own test part, which nothing is chosen by; None if it has none.
    """

    train: Part
    validation: Part | None
    test: Part | None

    def __str__(self) -> str:
        words = [f"{self.train.examples:,} rows to learn from"]
        words.append(f"{self.validation.examples:,} to choose the epoch by" if self.validation else "none to choose by")
        words.append(f"{self.test.examples:,} of the data's own test part" if self.test else "no test part")
        return ", ".join(words)


def labelled(task: Task, source: Source, *, needs_labels: bool = True) -> Part:
    """Pair rows with their labels.

    Args:
        task: says what labels are.
        source: the data.
        needs_labels: whether the task learns from labels.
    """
    return Part(source=source, labels=task.targets(source) if needs_labels else None)


def split(
    task: Task, source: Source, *, labels_per_class: int, validation: float, seed: int, needs_labels: bool = True
) -> Split:
    """Draw the parts; everything depends on the seed alone, and fewer labels are a part of more.

    Args:
        task: says what labels are and which rows have one.
        source: the data.
        labels_per_class: labelled rows of each class in all, 0 for every one.
        validation: fraction of them to choose by.
        seed: of the draw.
        needs_labels: whether the task learns from labels.

    Raises:
        InputError: if a class has too few rows, or no row has a label.
        UsageError: if rows by class are asked for and there are no classes.
    """
    labels = task.targets(source) if needs_labels else None
    rows = np.arange(len(source))
    if labels is not None:
        rows = np.flatnonzero(task.has_label(labels))
        if not len(rows):
            raise InputError(f"{source.describe()}: every label is missing, so there is nothing to learn from.")
    strata = task.strata(labels) if labels is not None else None
    if strata is None:
        if labels_per_class:
            raise UsageError(
                f"--labels-per-class needs one class a row, which task {task.name} does not have. Use -o data.limit=N."
            )
        owners = rows if source.groups is None else source.groups[rows]
        order = np.random.default_rng([seed, 21]).permutation(np.unique(owners))
        count = _validation_rows(len(order), validation)
        inside = np.isin(owners, order[:count])  # the rows of one group stay together
        held, kept = [rows[inside]], [rows[~inside]]
    else:
        held, kept = _by_class(task, source, strata, rows, labels_per_class, validation, seed)

    def part(chosen: list[Array], note: str) -> Part | None:
        picked = np.sort(np.concatenate(chosen))
        if not len(picked):
            return None
        some = Subset(source, picked, note)
        return Part(source=some, labels=None if labels is None else labels[picked])

    train = part(kept, f"to learn from, seed {seed}")
    assert train is not None
    holdout = source.holdout()
    usable = holdout is not None and (not needs_labels or holdout.labels is not None or holdout.targets is not None)
    return Split(
        train=train,
        validation=part(held, f"to choose by, seed {seed}"),
        test=labelled(task, holdout, needs_labels=needs_labels) if holdout is not None and usable else None,
    )


def _validation_rows(rows: int, share: float) -> int:
    """How many of some rows to hold back: at least one to choose by and one to learn from, where there are two."""
    return min(max(round(rows * share), 1), rows - 1) if share > 0 and rows > 1 else 0


def _by_class(
    task: Task,
    source: Source,
    strata: Array,
    rows: Array,
    labels_per_class: int,
    validation: float,
    seed: int,
) -> tuple[list[Array], list[Array]]:
    classes = np.unique(strata[rows])
    if len(classes) < 2:
        raise InputError(f"{source.describe()}: all rows have one class, so there is nothing to tell apart.")
    held, kept = [], []
    for label in classes:
        own = rows[strata[rows] == label]
        name = task.class_names[label] if label < len(task.class_names) else str(label)
        if labels_per_class > len(own):
            raise InputError(
                f"{source.describe()}: class '{name}' has {len(own):,} rows, fewer than --labels-per-class {labels_per_class}."
            )
        if len(own) < 2 and validation > 0 and labels_per_class != 1:
            raise InputError(
                f"{source.describe()}: class '{name}' has one example; one to learn from and one to choose by are needed. "
                "Add examples, leave the class out, or choose by none: -o validation=0"
            )
        own = np.random.default_rng([seed, 21, int(label)]).permutation(own)
        own = own[:labels_per_class] if labels_per_class else own
        count = _validation_rows(len(own), validation)
        held.append(own[:count])
        kept.append(own[count:])
    return held, kept
