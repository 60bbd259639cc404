"""Masked modelling judged by fine-tuning: does it help a small Vision Transformer on few labels?

    python benchmarks/masked/finetune.py --objective masked

Calls the library's harness (`kptk.training.experiment`, `kptk.training.finetuner`). Finished cells are kept in a file of JSON
lines beside this script, so an interrupted benchmark goes on where it stopped; with all cells there it prints the table.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training.arms import head_on_features, probe
from kptk.training.experiment import Arm, Draw, Grid, draw, paired_difference, table
from kptk.training.features import Encoder
from kptk.training.feeding import steady
from kptk.training.finetuner import Classifier, FineTuner, in_batches
from kptk.training.stream import batches, steps_per_epoch

HERE = Path(__file__).parent
LABELS = (5, 10, 50)
TEST_ROWS, VALIDATION_PER_CLASS, CLASSES = 2000, 10, 10
BATCH = 128
FINETUNE_STEPS, PROBED_STEPS = 200, 100
VIEWS = {"flip": 0.0, "crop": 0.6, "rotation": 20.0, "jitter": 0.0, "grey": 0.0}
BACKBONE = {"patch": 7, "depth": 2, "width": 64, "heads": 4}
OPTIONS = {"masked": {"decoder_width": 48, "decoder_depth": 1}, "simmim": {}}
NAMES = ("random", "scratch-long-augmented", "full-ft", "lp-ft", "frozen")


def rows() -> tuple[np.ndarray, np.ndarray]:
    """All bundled digits and their classes."""
    source = kptk.dataset("mnist10k")
    parts = (source, source.holdout())
    x = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    return x, np.concatenate([part.labels for part in parts])


def build() -> Any:
    """A fresh backbone."""
    return kptk.backbone("vit_tiny", input_shape=(28, 28, 1), **BACKBONE)


def pretrain(backbone: Any, pool: np.ndarray, seed: int, options: argparse.Namespace) -> None:
    """Teach a backbone on rows without labels, as the recipe does."""
    keras.utils.set_random_seed(seed)
    views = kptk.preprocessor("image_views", views=1, seed=seed, **VIEWS)
    model = kptk.objective(options.objective, backbone=backbone, views=views, **OPTIONS[options.objective])
    per_epoch = steps_per_epoch(len(pool), BATCH)
    steps = per_epoch * options.epochs
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - 50, warmup_target=options.rate, warmup_steps=50)
    model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=0.05))
    stream = batches(kptk.ArraySource(pool), BATCH, seed, 0, steps)
    model.fit(steady(stream), steps_per_epoch=per_epoch, epochs=options.epochs, verbose=0, shuffle=False)


def make_arms(options: argparse.Namespace, pretrain_steps: int) -> dict[str, Arm]:
    """Every arm around one classifier, compiled once. All that train see the same augmentation."""
    augmentation = kptk.preprocessor("image_views", views=1, seed=0, **VIEWS)
    tuner = FineTuner(Classifier(build(), CLASSES, augmentation, augment=True), rates=options.rates)
    encoder = Encoder(tuner.model.backbone, augmentation)
    kept: dict[tuple[str, int], list[np.ndarray]] = {}

    def fresh(data: Draw) -> list[np.ndarray]:
        if ("fresh", data.seed) not in kept:
            keras.utils.set_random_seed(data.seed)
            kept["fresh", data.seed] = build().get_weights()
        return kept["fresh", data.seed]

    def pretrained(data: Draw) -> list[np.ndarray]:
        if ("pretrained", data.seed) not in kept:
            backbone = build()
            backbone.set_weights(fresh(data))
            pretrain(backbone, data.pool, data.seed, options)
            kept["pretrained", data.seed] = backbone.get_weights()
        return kept["pretrained", data.seed]

    def features(x: np.ndarray) -> np.ndarray:
        return in_batches(encoder.predict_on_batch, x)

    def frozen(start: list[np.ndarray], data: Draw) -> Any:
        tuner.set_backbone(start)
        return probe(features, data, centre=features(data.pool[:4096]).mean(axis=0))

    def lp_ft(data: Draw) -> Any:
        start = pretrained(data)
        tuner.set_backbone(start)
        head = head_on_features(features(data.x), data.y, CLASSES, data.seed)

        def begin() -> None:
            tuner.set_backbone(start)
            tuner.set_head(*head)

        return tuner.best(data, begin, FINETUNE_STEPS - PROBED_STEPS)

    return {
        "random": lambda data: frozen(fresh(data), data),
        "scratch-long-augmented": lambda data: tuner.best(
            data, lambda: tuner.set_backbone(fresh(data)), pretrain_steps + FINETUNE_STEPS
        ),
        "full-ft": lambda data: tuner.best(data, lambda: tuner.set_backbone(pretrained(data)), FINETUNE_STEPS),
        "lp-ft": lp_ft,
        "frozen": lambda data: frozen(pretrained(data), data),
    }


def main() -> None:
    """Run the cells that are missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", choices=sorted(OPTIONS), default="masked")
    parser.add_argument("--epochs", type=int, default=10, help="of pre-training")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate of pre-training")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3], help="learning rates of fine-tuning")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", default="", help="file of finished cells; default: results-OBJECTIVE.jsonl here")
    options = parser.parse_args()
    x, y = rows()
    steps = options.epochs * steps_per_epoch(len(x) - TEST_ROWS, BATCH)
    grid = Grid(options.out or HERE / f"results-{options.objective}.jsonl")
    draws = (
        draw(
            x,
            y,
            seed=seed,
            labels_per_class=count,
            test_rows=TEST_ROWS,
            validation_per_class=VALIDATION_PER_CLASS,
        )
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for count in LABELS
    )
    started, cpu = time.perf_counter(), time.process_time()
    for cell in grid.run(make_arms(options, steps), draws):
        print(
            f"{time.perf_counter() - started:7.1f} s ({time.process_time() - cpu:.0f} s CPU)  seed {cell.seed}  "
            f"k {cell.labels_per_class}  {cell.arm:<24} {100 * cell.test:5.1f} %  ({cell.chosen})",
            flush=True,
        )
    print(f"\n{steps:,} pre-training steps of {BATCH}, {FINETUNE_STEPS} fine-tuning steps; accuracy in %, mean ± sd\n")
    print(table(grid, NAMES, LABELS))
    for count in LABELS if options.seeds > 1 else ():
        ours = grid.best_of(("full-ft", "lp-ft"), count, by="validation")
        scratch = grid.best_of(("scratch-long-augmented",), count, by="test")
        gain = paired_difference(ours, scratch)
        print(
            f"k {count}: full-ft or lp-ft (by validation) minus scratch: "
            f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] points"
        )


if __name__ == "__main__":
    main()
