"""Few labels: does contrastive pre-training help the example CNN, against every fair baseline?

    python benchmarks/few_labels/few_labels.py --data digits                                # the recorded cells
    python benchmarks/few_labels/few_labels.py --data digits --out runs/few-labels --seeds 10   # a new comparison

A new comparison is one call of `kptk.compare`; this script adds the tables of the recorded protocol and the gate. Exit code 1
if the gate fails.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import kptk
from kptk.plugins import Plugins
from kptk.training import backend

backend.import_keras()
from kptk.training.arms import NAMES, PRETRAINED, SCRATCH
from kptk.training.experiment import ALL, Grid, paired_difference, table
from kptk.training.stream import steps_per_epoch

HERE = Path(__file__).parent
LABELS = {"digits": (1, 5, 10, ALL), "mnist10k": (1, 5)}
TEST_ROWS = {"digits": 500, "mnist10k": 2000}
POOL_ROWS = {"digits": 1297, "mnist10k": 8000}
EPOCHS = {"digits": 100, "mnist10k": 20}
BATCH = {"digits": 128, "mnist10k": 256}
WARMUP_STEPS = 50
# Gates: smallest mean gain in points, by labels per class; the interval must lie above 0 as well.
GATES = {"digits": {1: 6.0, 5: 1.0}, "mnist10k": {1: 0.0, 5: 0.0}}


def digits_file(folder: Path) -> str:
    """Scikit-learn's digits as a file that `kptk` reads."""
    from sklearn.datasets import load_digits

    path = folder.with_suffix(".npz")
    if not path.exists():
        digits = load_digits()
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=np.rint(digits.images * (255 / 16)).astype("uint8")[..., None], y=digits.target)
    return str(path)


def run(name: str, out: Path, seeds: int, first_seed: int, jobs: int) -> Grid:
    """Fill a folder by `kptk.compare`, and return its cells under the names of the recorded ones."""
    if not (out / "comparison.toml").exists():
        steps = EPOCHS[name] * steps_per_epoch(POOL_ROWS[name], BATCH[name])
        views = Plugins().find("dataset", "mnist10k").spec.suggests
        kptk.compare(
            "contrastive,scratch",
            digits_file(out) if name == "digits" else name,
            labels_per_class=["all" if count == ALL else count for count in LABELS[name]],
            seeds=seeds,
            budget=f"{steps}steps",
            backbone="example_cnn",
            options={
                "compare.first_seed": first_seed,
                "compare.split": "seed",
                "compare.test_rows": TEST_ROWS[name],
                "compare.batch_size": BATCH[name],
                "compare.ways": "full-ft,lp-ft,frozen",
                "compare.scratch_rates": "0.001,0.0003",
                "objective.temperature": 0.5,
                "preprocessor.grey": 0.0,
                "train.learning_rate": 1e-3,
                "train.lr_scaling": "none",
                "train.warmup": WARMUP_STEPS / steps,
                **views,
            },
            out=out,
            jobs=jobs,
        )
    else:
        kptk.compare(out=out, jobs=jobs)
    grid = Grid(out / "cells.jsonl")
    grid.cells = [replace(cell, arm=cell.arm.removeprefix("contrastive/")) for cell in grid.cells]
    return grid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(LABELS), default="digits")
    parser.add_argument("--out", default="", help="folder of a new comparison, or of one to go on with")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    name = options.data
    if options.out:
        grid = run(name, Path(options.out), options.seeds, options.first_seed, options.jobs)
    else:
        grid = Grid(HERE / f"results-{name}.jsonl")
    print(f"{name}, {TEST_ROWS[name]:,} test rows; accuracy in %, mean ± sd over {seeds_of(grid)} seeds\n")
    print(table(grid, NAMES, LABELS[name]))
    return 0 if gate(grid, name) else 1


def seeds_of(grid: Grid) -> int:
    return len({cell.seed for cell in grid.cells})


def gate(grid: Grid, name: str) -> bool:
    if seeds_of(grid) < 2:
        print("\nOne seed has no interval, so nothing is judged.")
        return True
    passed = True
    print("\nPaired differences in points, 95 % interval:")
    for count in LABELS[name]:
        ours = grid.best_of(PRETRAINED, count, by="validation")
        scratch = grid.best_of(SCRATCH, count, by="test")
        gain = paired_difference(ours, scratch)
        need = GATES[name].get(count)
        verdict = ""
        if need is not None:
            good = 100 * gain.mean >= need and gain.low > 0
            verdict = f"  gate >= {need:g} and interval above 0: {'pass' if good else 'FAIL'}"
            passed &= good
        print(
            f"k {count or 'all'}: {' or '.join(PRETRAINED)} (by validation) minus best scratch arm (by test): "
            f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]{verdict}"
        )
        frozen, random = ({s: c.test for s, c in grid.scores(arm, count).items()} for arm in ("frozen", "random"))
        over = paired_difference(frozen, random)
        print(
            f"    frozen minus random encoder: {100 * over.mean:+.1f} [{100 * over.low:+.1f}, {100 * over.high:+.1f}]"
        )
    return passed


if __name__ == "__main__":
    sys.exit(main())
