"""Every vision objective against scratch: the same draws, initial weights and number of steps for all.

    python benchmarks/objectives/objectives.py --data digits                              # the recorded cells
    python benchmarks/objectives/objectives.py --data digits --out runs/objectives        # a new comparison
    python benchmarks/objectives/objectives.py --data mnist10k --out runs/mine --objectives contrastive byol --seeds 5

Each objective is what `kptk train --plugin NAME` runs: its recipe with its own options, views and optimiser; only the
backbone, the batch and the number of steps are set here, the same for all of a group. Objectives that need a network
of another kind (masked modelling: a Vision Transformer) form a group with scratch arms of their own. A new comparison is one call
of `kptk.compare` for each group; this script adds the tables of the recorded protocol.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import kptk
from kptk.plugins import Plugins
from kptk.training import backend

backend.import_keras()
from kptk.training.arms import SCRATCH
from kptk.training.experiment import ALL, Grid, paired_difference

HERE = Path(__file__).parent
LABELS = (1, 5, ALL)
STEPS = {"digits": 1000, "mnist10k": 300, "emoji48": 300}
TEST_ROWS = {"digits": 500, "mnist10k": 2000, "emoji48": 400}
SIZE = {"emoji48": 24}
"""Side in pixels to which pictures are shrunk, so that a seed takes minutes."""
VIT = {"backbone.depth": 4, "backbone.width": 64, "backbone.heads": 4}
GROUPS: dict[str, tuple[str, dict[str, Any]]] = {"cnn": ("vision/example_cnn", {}), "vit": ("vision/vit_tiny", VIT)}
OBJECTIVES: dict[str, tuple[str, ...]] = {
    "cnn": (
        *("contrastive", "momentum", "moco_v3", "simultaneous", "byol", "simsiam", "barlow_twins", "vicreg", "dino"),
        *("adversarial", "vat", "simmim", "position"),
        *("autoencoder", "denoising", "sparse", "variational", "super_resolution", "layerwise"),
        *("supervised", "supcon", "distill", "feature_distill", "relational_distill"),
    ),
    "vit": ("masked", "contrastive"),
}
OF_DATA: dict[tuple[str, str], dict[str, Any]] = {("digits", "momentum"): {"momentum:objective.queue_size": 256}}
"""Options that the documentation of an objective asks for: a queue of a quarter of the data at most."""
LEFT_OUT = {"digits": {"position"}}
"""Objectives that refuse a data set: parts of an image of 8 x 8 pixels are too small to be put in place."""
LABELLED = {"supervised", "supcon", "distill"}
"""These see the label of every row of the pool: what all labels are worth, no rival of the rest."""


def digits_file(folder: Path) -> str:
    """Scikit-learn's digits as a file that `kptk` reads."""
    from sklearn.datasets import load_digits

    path = folder / "digits.npz"
    if not path.exists():
        digits = load_digits()
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=np.rint(digits.images * (255 / 16)).astype("uint8")[..., None], y=digits.target)
    return str(path)


def run(options: argparse.Namespace) -> Grid:
    """Fill a folder a group by `kptk.compare`; its cells under the names of the recorded ones."""
    out = Path(options.out)
    grid = Grid(out / "nothing.jsonl")
    for group, names in OBJECTIVES.items():
        chosen = [name for name in names if not options.objectives or name in options.objectives]
        chosen = [name for name in chosen if name not in LEFT_OUT.get(options.data, ())]
        if not chosen or group not in options.groups:
            continue
        folder = out / f"{options.data}-{group}"
        if (folder / "comparison.toml").exists():
            kptk.compare(out=folder, jobs=options.jobs)
        else:
            compare(options, group, chosen, folder)
        prefix = "" if group == "cnn" else f"{group}:"
        cells = Grid(folder / "cells.jsonl").cells
        grid.cells += [replace(cell, arm=f"{prefix}{cell.arm}") for cell in cells if not prefix or cell.arm != "raw"]
    return grid


def compare(options: argparse.Namespace, group: str, objectives: list[str], folder: Path) -> None:
    """One comparison: the objectives of a group."""
    data = options.data
    backbone, settings = GROUPS[group]
    settings = {**settings, **({"backbone.patch": 2} if data == "digits" and group == "vit" else {})}
    if data == "digits":
        settings |= Plugins().find("dataset", "mnist10k").spec.suggests  # digits are digits
    if data in SIZE:
        settings["preprocessor.size"] = SIZE[data]
    for name in objectives:
        settings |= OF_DATA.get((data, name), {})
    kptk.compare(
        [*objectives, "scratch"],
        digits_file(Path(options.out)) if data == "digits" else data,
        labels_per_class=[count or "all" for count in LABELS],
        seeds=options.seeds,
        budget=f"{options.steps or STEPS[data]}steps",
        backbone=backbone,
        options={
            "compare.first_seed": options.first_seed,
            "compare.split": "seed",
            "compare.test_rows": TEST_ROWS[data],
            "compare.ways": "frozen,lp-ft,knn" if group == "cnn" else "frozen,lp-ft,full-ft,knn",
            **settings,
        },
        out=folder,
        jobs=options.jobs,
    )


def shown(values: list[float], digits: int = 1) -> str:
    """Mean and standard deviation."""
    if not values:
        return ""
    sd = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{sd}"


def tables(options: argparse.Namespace, grid: Grid) -> None:
    """Print one row an arm or objective, and each objective's gain over the best scratch arm."""
    arms = list(dict.fromkeys(cell.arm for cell in grid.cells))

    def column(arm: str, labels: int) -> list[float]:
        return [100 * cell.test for cell in grid.scores(arm, labels).values()]

    seeds = sorted({cell.seed for cell in grid.cells})
    print(f"\n{options.data}: test accuracy in %, mean ± sd over seeds {seeds[0]}-{seeds[-1]}\n")
    heads = ["frozen, k = 1", "LP-FT, k = 1", "frozen, k = 5", "LP-FT, k = 5", "linear, all", "LP-FT, all", "kNN, all"]
    print(f"| objective | {' | '.join(heads)} | rank | CPU s |\n| --- |{' ---: |' * (len(heads) + 2)}")
    for control in [arm for arm in arms if "/" not in arm]:
        trained = not control.endswith(("raw", "random"))
        cells = [shown(column(control, labels)) for labels in LABELS]
        row = [text for cell in cells for text in (("", cell) if trained else (cell, ""))]
        print(f"| *{control}* | {' | '.join([*row, '', '', ''])} |")
    for name in dict.fromkeys(arm.rpartition("/")[0] for arm in arms if "/" in arm):
        row = [shown(column(f"{name}/{arm}", k)) for k in LABELS for arm in ("frozen", "lp-ft")]
        facts = [cell.facts for cell in grid.scores(f"{name}/knn", ALL).values()]
        row += [shown(column(f"{name}/knn", ALL)), *(shown([f[key] for f in facts]) for key in ("rank", "cpu_seconds"))]
        print(f"| {name}{' (labels)' if name.rpartition(':')[2] in LABELLED else ''} | {' | '.join(row)} |")
    gains(grid, arms)


def gains(grid: Grid, arms: list[str]) -> None:
    """Print each objective's gain over the best scratch arm of its group, and over its random encoder."""
    print("\nBetter of frozen and LP-FT (by validation) minus the best scratch arm (by test), points, 95 % interval\n")
    print("| objective | k = 1 | k = 5 | all | frozen minus random, k = 5 |\n| --- | ---: | ---: | ---: | ---: |")
    for name in dict.fromkeys(arm.rpartition("/")[0] for arm in arms if "/" in arm):
        prefix = f"{name.partition(':')[0]}:" if ":" in name else ""
        row = []
        for labels in LABELS:
            ours = grid.best_of([f"{name}/frozen", f"{name}/lp-ft"], labels, by="validation")
            scratch = grid.best_of([f"{prefix}{arm}" for arm in SCRATCH], labels, by="test")
            row.append(interval(ours, scratch))
        frozen, random = (
            {seed: cell.test for seed, cell in grid.scores(arm, 5).items()}
            for arm in (f"{name}/frozen", f"{prefix}random")
        )
        print(f"| {name} | {' | '.join([*row, interval(frozen, random)])} |")


def interval(first: dict[int, float], second: dict[int, float]) -> str:
    """The paired difference with its interval, empty with fewer than two common seeds."""
    if len(set(first) & set(second)) < 2:
        return ""
    gain = paired_difference(first, second)
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def main() -> None:
    """Compare, if a folder is named, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(STEPS), default="digits")
    parser.add_argument("--out", default="", help="folder of new comparisons, or of those to go on with")
    parser.add_argument("--objectives", nargs="*", default=[], help="some of them; default: all")
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="of pre-training; 0: as recorded")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    tables(options, run(options) if options.out else Grid(HERE / f"results-{options.data}.jsonl"))


if __name__ == "__main__":
    main()
