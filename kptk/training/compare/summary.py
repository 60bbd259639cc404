"""From the finished cells of a comparison to its figures: scores, costs, paired differences, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kptk.comparing.config import SCRATCH, ArmConfig, ComparisonConfig
from kptk.training.compare.guidance import guidance
from kptk.training.compare.verdict import Finding, sentences
from kptk.training.experiment import Cell, Grid
from kptk.training.paired import holm, mean_interval, paired_test

SCRATCH_WAYS = ("scratch", "scratch-long", "scratch-long-augmented")
CONTROL_WAYS = ("raw", "random")
COSTS = ("seconds", "cpu_seconds", "tuning_seconds", "peak_mb", "parameters", "trained", "steps")


def cell_name(arm: str, way: str) -> str:
    """What the cells of one way of an arm are called.

    Args:
        arm: name of the arm.
        way: how it uses labels.
    """
    return way if arm == SCRATCH else f"{arm}/{way}"


def cells_of(arm: ArmConfig, *, controls: bool = True) -> list[str]:
    """The names of an arm's cells.

    Args:
        arm: the arm.
        controls: whether with the controls that are made beside scratch.
    """
    ways = (*(CONTROL_WAYS if controls else ()), *SCRATCH_WAYS) if arm.scratch else arm.ways
    return [cell_name(arm.name, way) for way in ways]


@dataclass(frozen=True, slots=True)
class Scores:
    """An arm's test score at one number of labels: of the way that is best on validation rows, seed by seed."""

    by_seed: dict[int, float]
    ways: dict[int, str]

    @classmethod
    def of(cls, grid: Grid, names: Sequence[str], labels: int) -> Scores:
        """Choose among an arm's ways, seed by seed; a seed counts once all of them are there.

        Args:
            grid: finished cells.
            names: of the cells.
            labels: labels per class.
        """
        columns = [grid.scores(name, labels) for name in names]
        seeds = sorted(set.intersection(*(set(column) for column in columns))) if columns else []
        best = {seed: max((column[seed] for column in columns), key=lambda cell: cell.validation) for seed in seeds}
        return cls({seed: cell.test for seed, cell in best.items()}, {seed: cell.arm for seed, cell in best.items()})


def summarise(config: ComparisonConfig, grid: Grid, tested: int) -> dict[str, Any]:
    """Work out everything that a comparison says.

    Args:
        config: the comparison.
        grid: its finished cells.
        tested: test rows of each score.

    Returns:
        Figures for JSON: accuracies and differences as shares of 1.
    """
    table = {
        (arm.name, labels): Scores.of(grid, cells_of(arm, controls=False), labels)
        for arm in config.arms
        for labels in config.labels
    }
    rows = [_row(arm.name, labels, scores) for (name, labels), scores in table.items() for arm in _named(config, name)]
    for arm in config.arms:
        if arm.scratch:
            names = [cell_name(arm.name, way) for way in CONTROL_WAYS]
            rows += [
                _row(name, labels, Scores.of(grid, [name], labels), control=True)
                for name in names
                for labels in config.labels
            ]
    others = [arm.name for arm in config.arms if arm.name != config.baseline]
    against = _family(config, table, [(name, config.baseline) for name in others], tested)
    teaching = [name for arm in config.arms for name in [arm.name] if not arm.scratch and name != config.baseline]
    pairs = [(a, b) for index, a in enumerate(teaching) for b in teaching[index + 1 :]]
    between = _family(config, table, pairs, tested)
    costs = [found for arm in config.arms if (found := _costs(arm, grid.cells))]
    return {
        "accuracy": [row for row in rows if row["seeds"]],
        "costs": costs,
        "against_baseline": [asdict(finding) for finding in against],
        "between": [asdict(finding) for finding in between],
        "verdicts": sentences(against, between, config.values["margin"] / 100),
        "guidance": guidance(config, _means(rows), [*against, *between], costs),
        "protocol": protocol(config, tested),
        "cells": len(grid.cells),
    }


def _means(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int], float]:
    """Mean accuracy by arm and number of labels, 0 for all, controls left out."""
    return {
        (row["arm"], 0 if row["labels_per_class"] == "all" else row["labels_per_class"]): row["mean"]
        for row in rows
        if row["seeds"] and not row["control"]
    }


def _named(config: ComparisonConfig, name: str) -> list[ArmConfig]:
    return [arm for arm in config.arms if arm.name == name]


def _row(name: str, labels: int, scores: Scores, *, control: bool = False) -> dict[str, Any]:
    values = list(scores.by_seed.values())
    interval = mean_interval(values)
    counts = {way: list(scores.ways.values()).count(way) for way in dict.fromkeys(scores.ways.values())}
    return {
        "arm": name,
        "labels_per_class": labels or "all",
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "seeds": interval.seeds,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        "chosen": counts,
        "control": control,
    }


def _family(
    config: ComparisonConfig, table: dict[tuple[str, int], Scores], pairs: Sequence[tuple[str, str]], tested: int
) -> list[Finding]:
    """Paired tests of one family, corrected together over all pairs and numbers of labels."""
    raw = []
    for first, second in pairs:
        for labels in config.labels:
            test = paired_test(table[first, labels].by_seed, table[second, labels].by_seed, tested)
            if test.seeds:
                raw.append((first, second, labels, test))
    adjusted = holm([test.p for *_, test in raw])
    return [
        Finding(
            first=first,
            second=second,
            labels_per_class=labels,
            mean=test.mean,
            low=test.low,
            high=test.high,
            seeds=test.seeds,
            p=test.p,
            p_holm=p,
            tests=len(raw),
        )
        for (first, second, labels, test), p in zip(raw, adjusted, strict=True)
    ]


def _costs(arm: ArmConfig, cells: Sequence[Cell]) -> dict[str, Any]:
    """What an arm cost, the mean over seeds; of scratch, that of its longest way."""
    names = set(cells_of(arm, controls=False))
    facts = [cell.facts for cell in cells if cell.arm in names and cell.facts]
    longest = max((fact.get("steps", 0) for fact in facts), default=0)
    facts = [fact for fact in facts if fact.get("steps", 0) == longest]
    found: dict[str, Any] = {"arm": arm.name, "sees_labels": arm.sees_labels}
    for key in COSTS:
        values = [fact[key] for fact in facts if key in fact]
        if values:
            mean = float(np.mean(values))
            found[key] = round(mean) if key in ("parameters", "trained", "steps") else round(mean, 2)
    return found if facts else {}


def protocol(config: ComparisonConfig, tested: int) -> str:
    """How the figures were made, in a sentence or two that stand beside them.

    Args:
        config: the comparison.
        tested: test rows of each score.
    """
    values = config.values
    seeds = config.seeds
    span = f"seed {seeds.start}" if len(seeds) == 1 else f"seeds {seeds.start} to {seeds.stop - 1}"
    return (
        f"Accuracy on {tested:,} test rows, {span}, within a seed the same rows and initial weights for every arm; mean and "
        f"95 % interval of Student's t over seeds. Pre-training {config.budget} of {values['batch_size']} examples; "
        f"{values['finetune_steps']} steps on the labelled rows. Each arm's way to use labels, learning rate and "
        f"regularisation are chosen on {values['validation_per_class']} validation rows a class. Scratch also trains as long "
        "as pre-training and fine-tuning together, with and without augmentation."
    )
