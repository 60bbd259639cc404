"""Every vision objective against scratch: the same draws, initial weights and number of steps for all.

    python benchmarks/objectives/objectives.py --data digits
    python benchmarks/objectives/objectives.py --data mnist10k --objectives contrastive byol --seeds 5

Each objective is what `kptk train --plugin NAME` runs: its recipe with its own options, views and optimiser; only the
backbone, the batch and the number of steps are set here, the same for all of a group. Objectives that need a network
of another kind (masked modelling: a Vision Transformer) form a group with scratch arms of their own. The work is done
by the library's harness (`kptk.training.arms`, `kptk.training.experiment`). Finished cells are kept in a file of JSON
lines, so an interrupted benchmark goes on where it stopped; with every cell there, it only prints the tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.config import RunConfig, resolve
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.training.arms import SCRATCH, Bench, Setup
from kptk.training.assemble import build_backbone, build_model, build_preprocessor, view_shape
from kptk.training.experiment import ALL, Arm, Draw, Grid, draw, paired_difference
from kptk.training.feeding import steady
from kptk.training.health import effective_rank, feature_spread
from kptk.training.optimizer import make_optimizer
from kptk.training.stream import batches

HERE = Path(__file__).parent
BATCH = 128
FINETUNE_STEPS = 300
VALIDATION_PER_CLASS = 10
LABELS = (1, 5, ALL)
STEPS = {"digits": 1000, "mnist10k": 300, "emoji48": 300}
TEST_ROWS = {"digits": 500, "mnist10k": 2000, "emoji48": 400}
SIZE = {"emoji48": 24}
"""Side in pixels to which pictures are shrunk, so that a seed takes minutes."""
SUGGESTS = {"digits": "mnist10k"}
"""A data set whose suggested views fit: digits are digits."""
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
OF_DATA: dict[tuple[str, str], dict[str, Any]] = {("digits", "momentum"): {"objective.queue_size": 256}}
"""Options that the documentation of an objective asks for: a queue of a quarter of the data at most."""
SCRATCH_RATES = (3e-3, 1e-3, 3e-4)
"""Learning rates of the arms without pre-training: the usual ones of fine-tuning and that of pre-training."""
LEFT_OUT = {"digits": {"position"}}
"""Objectives that refuse a data set: parts of an image of 8 x 8 pixels are too small to be put in place."""
LABELLED = {"supervised", "supcon", "distill"}
"""These see the label of every row of the pool: what all labels are worth, no rival of the rest."""


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows and classes of a data set, test parts included."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return np.rint(digits.images * (255 / 16)).astype("uint8")[..., None], digits.target
    source = kptk.dataset(name)
    parts = [part for part in (source, source.holdout()) if part is not None]
    x = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    return x, np.concatenate([part.labels for part in parts])


def configuration(plugins: Plugins, objective: str, group: str, data: str) -> RunConfig:
    """The recipe of an objective, on this group's backbone."""
    backbone, options = GROUPS[group]
    if data == "digits" and group == "vit":
        options = options | {"backbone.patch": 2}
    settings = {"train.batch_size": BATCH, "train.epochs": 10} | options
    settings |= OF_DATA.get((data, objective), {})
    if data in SIZE:
        settings["preprocessor.size"] = SIZE[data]
    request = Request(
        recipe=objective,
        names={"backbone": backbone},
        data=SUGGESTS.get(data, data),
        settings=tuple(Setting(key, value) for key, value in settings.items()),
    )
    return resolve(plugins, request)


def pretraining(config: RunConfig, steps: int) -> Any:
    """A function that teaches a backbone as `kptk train` would, for a number of steps."""
    epochs = 10  # only says how often the log is written, and how stages are divided

    def pretrain(backbone: Any, data: Draw) -> dict[str, float]:
        keras.utils.set_random_seed(data.seed)
        labels = bool(config.objective.offer.spec.labels)
        source = kptk.ArraySource(data.pool, data.pool_y if labels else None)
        model = build_model(config, source, backbone)
        model.set_total_steps(steps)
        model.compile(optimizer=make_optimizer(config.train.values, steps // model.stages))
        stream = batches(source, BATCH, data.seed, 0, steps, labels=labels)
        began = time.process_time()
        history = model.fit(steady(stream), steps_per_epoch=steps // epochs, epochs=epochs, verbose=0, shuffle=False)
        seconds = time.process_time() - began
        stream.close()
        rows = data.pool[:512]
        plain = model.views.plain(rows) if model.views is not None else rows
        features = np.asarray(keras.ops.convert_to_numpy(model.encode(plain)), "float32")
        return {
            "cpu_seconds": round(seconds, 1),
            "rank": round(effective_rank(features), 2),
            "spread": round(feature_spread(features), 3),
            "loss": round(float(history.history["loss"][-1]), 4),
        }

    return pretrain


def group_arms(plugins: Plugins, group: str, objectives: list[str], data: str, x: Any, y: Any) -> dict[str, Arm]:
    """Controls and objectives of a group; the names of a second group's arms begin with its name."""
    prefix = "" if group == "cnn" else f"{group}:"
    usual = configuration(plugins, "contrastive", group, data)
    shape = view_shape(usual, kptk.ArraySource(x[:1]))
    setup = Setup(
        build=lambda: build_backbone(usual.backbone, shape),
        preprocessor=build_preprocessor(usual.preprocessor, 1, 0),
        pretrain_steps=STEPS[data],
        finetune_steps=FINETUNE_STEPS,
        classes=len(np.unique(y)),
    )
    bench = Bench(setup)
    controls = Bench(replace(setup, rates=SCRATCH_RATES)).controls()
    arms = {f"{prefix}{name}": arm for name, arm in controls.items() if name != "raw" or not prefix}
    for name in objectives:
        pretrain = pretraining(configuration(plugins, name, group, data), STEPS[data])
        arms |= bench.transfers(pretrain, f"{prefix}{name}/")
    return arms


def wanted(arm: str, labels: int) -> bool:
    """Leave out cells that say nothing new: kNN with few labels, short scratch with all of them."""
    if arm.endswith("/full-ft"):
        return arm.startswith("vit:") or "/simmim" in arm
    return not arm.endswith("/knn") or labels == ALL


def run(options: argparse.Namespace, grid: Grid) -> None:
    """Fill the grid, group by group and seed by seed."""
    x, y = load(options.data)
    plugins = Plugins()
    started = time.perf_counter()

    def draws(seed: int, labels: int) -> Iterator[Draw]:
        yield draw(
            x,
            y,
            seed=seed,
            labels_per_class=labels,
            test_rows=TEST_ROWS[options.data],
            validation_per_class=VALIDATION_PER_CLASS,
        )

    for group, names in OBJECTIVES.items():
        chosen = [name for name in names if not options.objectives or name in options.objectives]
        chosen = [name for name in chosen if name not in LEFT_OUT.get(options.data, ())]
        if not chosen or group not in options.groups:
            continue
        arms = group_arms(plugins, group, chosen, options.data, x, y)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for labels in LABELS:
                some = {name: arm for name, arm in arms.items() if wanted(name, labels)}
                for cell in grid.run(some, draws(seed, labels)):
                    print(
                        f"{time.perf_counter() - started:7.0f} s  seed {seed}  k {labels or 'all'}  {cell.arm:<28} "
                        f"{100 * cell.test:5.1f} %  {dict(cell.facts)}",
                        flush=True,
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
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(STEPS), default="digits")
    parser.add_argument("--objectives", nargs="*", default=[], help="some of them; default: all")
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--out", default="", help="file of finished cells; default: results-DATA.jsonl beside this script"
    )
    parser.add_argument("--print-only", action="store_true", help="run nothing")
    options = parser.parse_args()
    grid = Grid(options.out or HERE / f"results-{options.data}.jsonl")
    if not options.print_only:
        run(options, grid)
    tables(options, grid)


if __name__ == "__main__":
    main()
