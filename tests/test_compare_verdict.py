"""What a comparison says: figures of its cells, corrected tests, sentences, table and figure. No Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kptk.cli.compare import table
from kptk.comparing.config import ArmConfig, ComparisonConfig
from kptk.config import Part
from kptk.settings import COMPARE
from kptk.training.compare.figure import draw_figure
from kptk.training.compare.summary import summarise
from kptk.training.compare.verdict import Finding, sentence, sentences
from kptk.training.experiment import Cell, Grid

NOTHING = Part(None, {})


def arm(name: str) -> ArmConfig:
    objective = None if name == "scratch" else NOTHING
    return ArmConfig(name=name, objective=objective, backbone=NOTHING, preprocessor=None, train=NOTHING)


def config(*arms: str, labels: str = "1,5,all", seeds: int = 5) -> ComparisonConfig:
    values = {option.name: option.default for option in COMPARE} | {"labels_per_class": labels, "seeds": seeds}
    return ComparisonConfig(data=NOTHING, source="", arms=tuple(map(arm, arms)), baseline="scratch", values=values)


def finding(labels: int, mean: float, low: float, high: float, p: float = 0.001, **more) -> Finding:
    given = {"first": "simclr", "second": "scratch", "seeds": 5, "tests": 3} | more
    return Finding(labels_per_class=labels, mean=mean, low=low, high=high, p=p / 3, p_holm=p, **given)


def test_the_promised_sentence() -> None:
    """Word for word what the issue asks for."""
    said = sentence([finding(5, 0.061, 0.039, 0.084), finding(0, 0.002, -0.004, 0.008, p=0.5)], 0.01)
    assert said == (
        "simclr beats scratch by 6.1 points at 5 labels per class [3.9, 8.4]; "
        "at all labels there is no difference (+0.2 [-0.4, 0.8])."
    )


def test_a_wide_interval_is_not_called_no_difference() -> None:
    said = sentence([finding(1, 0.02, -0.05, 0.09, p=0.5)], 0.01)
    assert said == "At 1 label per class no difference between simclr and scratch could be shown (+2.0 [-5.0, 9.0])."


def test_an_interval_above_zero_is_not_enough_after_correction() -> None:
    said = sentence([finding(1, 0.03, 0.001, 0.059, p=0.12)], 0.01)
    assert "beats" not in said
    assert "could be shown" in said


def test_both_directions_in_one_sentence() -> None:
    said = sentence([finding(1, 0.1, 0.08, 0.12), finding(0, -0.03, -0.04, -0.02)], 0.01)
    assert said == (
        "simclr beats scratch by 10.0 points at 1 label per class [8.0, 12.0]; "
        "it falls behind by 3.0 points at all labels [2.0, 4.0]."
    )


def test_one_seed_says_so() -> None:
    one = finding(5, 0.06, 0.06, 0.06, p=1.0, seeds=1)
    assert sentences([one], [one], 0.01) == [
        "simclr against scratch: +6.0 points at 5 labels per class.",
        "One seed says nothing on chance: use --seeds 5.",
    ]


def test_many_pairs_are_counted() -> None:
    pairs = [finding(5, 0.2, 0.1, 0.3, first=f"a{i}", second=f"b{i}") for i in range(9)]
    pairs += [finding(5, 0.0, -0.1, 0.1, p=0.9, first=f"c{i}", second=f"d{i}") for i in range(9)]
    said = sentences([finding(5, 0.2, 0.1, 0.3)], pairs, 0.01)
    assert said[1:] == ["Of the 18 other pairs of arms 9 differ: see the table of differences."]


def test_pairs_that_cannot_be_told_apart_are_named_once() -> None:
    between = [finding(k, 0.01, -0.05, 0.07, p=0.9, first="a", second="b") for k in (1, 5)]
    between += [finding(k, 0.2, 0.1, 0.3, first="a", second="c") for k in (1, 5)]
    said = sentences([finding(1, 0.1, 0.08, 0.12)], between, 0.01)
    assert (
        said[1]
        == "a beats c by 20.0 points at 1 label per class [10.0, 30.0] and 20.0 points at 5 labels per class [10.0, 30.0]."
    )
    assert said[2] == "No difference could be shown between a and b."


# From cells ----------------------------------------------------------------------------------------------------------


def grid(path: Path, cells: list[Cell]) -> Grid:
    made = Grid(path / "cells.jsonl")
    made.cells.extend(cells)
    return made


def cell(name: str, labels: int, seed: int, test: float, *, validation: float = 0.5, **facts: float) -> Cell:
    return Cell(arm=name, labels_per_class=labels, seed=seed, validation=validation, test=test, facts=facts)


def everything(path: Path, gain: float, rng: np.random.Generator, *, seeds: int = 5, tested: int = 2000) -> Grid:
    """Cells of two objectives, scratch and the controls; the first objective is better by `gain`."""
    cells = []
    for seed in range(seeds):
        for labels in (1, 5, 0):
            level = rng.normal(0.7, 0.05)
            for name, more in (("good", gain), ("other", 0.0)):
                for way in ("frozen", "lp-ft"):
                    score = round(tested * (level + more + rng.normal(0, 0.01))) / tested
                    facts = {"seconds": 10.0 + seed, "steps": 700, "parameters": 1000, "peak_mb": 800.0}
                    cells.append(cell(f"{name}/{way}", labels, seed, score, validation=rng.uniform(), **facts))
            for way in ("scratch", "scratch-long", "scratch-long-augmented"):
                score = round(tested * (level + rng.normal(0, 0.01))) / tested
                steps = 300 if way == "scratch" else 1000
                cells.append(cell(way, labels, seed, score, validation=rng.uniform(), steps=steps, seconds=steps / 100))
            cells += [cell(way, labels, seed, level - 0.1) for way in ("raw", "random")]
    return grid(path, cells)


def test_a_planted_gain_is_found_and_its_absence_is_not(tmp_path: Path) -> None:
    """The very code that a user's comparison goes through: equal arms differ in at most 5 % of repeats, all tests together."""
    rng = np.random.default_rng(0)
    settings = config("good", "other", "scratch")
    repeats, false, each, tests = 200, 0, 0, 0
    for _ in range(repeats):
        summary = summarise(settings, everything(tmp_path, 0.0, rng), 2000)
        found = [row["p_holm"] < 0.05 for row in summary["against_baseline"]]
        false += any(found)
        each += sum(found)
        tests += len(found)
        assert any(found) == any("beats" in line or "falls behind" in line for line in summary["verdicts"][:2])
    assert false / repeats <= 0.08  # 5 % in truth; 200 repeats
    assert each / tests <= 0.02
    planted = [summarise(settings, everything(tmp_path, 0.05, rng), 2000) for _ in range(20)]
    found = [row["p_holm"] < 0.05 for s in planted for row in s["against_baseline"] if row["first"] == "good"]
    assert np.mean(found) > 0.9


def test_the_way_that_is_best_on_validation_counts(tmp_path: Path) -> None:
    cells = [
        cell("good/frozen", 1, 0, 0.1, validation=0.9),
        cell("good/lp-ft", 1, 0, 0.8, validation=0.2),
        cell("good/frozen", 1, 1, 0.3, validation=0.1),
        cell("good/lp-ft", 1, 1, 0.4, validation=0.2),
        cell("good/frozen", 1, 2, 1.0, validation=1.0),  # its other way is missing, so the seed does not count yet
    ]
    row = summarise(config("good", "scratch", labels="1"), grid(tmp_path, cells), 100)["accuracy"][0]
    assert (row["arm"], row["seeds"]) == ("good", 2)
    assert row["mean"] == pytest.approx(0.25)
    assert row["chosen"] == {"good/frozen": 1, "good/lp-ft": 1}


def test_costs_are_those_of_the_longest_way(tmp_path: Path) -> None:
    summary = summarise(config("good", "other", "scratch"), everything(tmp_path, 0.0, np.random.default_rng(1)), 2000)
    costs = {row["arm"]: row for row in summary["costs"]}
    assert costs["good"]["seconds"] == 12.0
    assert costs["scratch"]["steps"] == 1000


def test_table_and_figure_show_every_arm_and_control(tmp_path: Path) -> None:
    summary = summarise(config("good", "other", "scratch"), everything(tmp_path, 0.05, np.random.default_rng(2)), 2000)
    heads, rows = table(summary)
    assert heads == ["arm", "k = 1", "k = 5", "k = all", "steps", "seconds", "tuning s", "MB", "parameters"]
    assert [row[0] for row in rows] == ["good", "other", "scratch", "(raw)", "(random)"]
    assert all(len(row) == len(heads) for row in rows)
    assert "±" in rows[0][1]
    assert rows[0][4:] == ["700", "12", "", "800", "1,000"]
    picture = draw_figure(summary, "digits")
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_an_empty_comparison_has_no_figures(tmp_path: Path) -> None:
    summary = summarise(config("good", "scratch"), grid(tmp_path, []), 100)
    assert summary["accuracy"] == summary["costs"] == summary["against_baseline"] == summary["verdicts"] == []
    assert draw_figure(summary, "nothing").startswith(b"\x89PNG")
