"""Few labels: does contrastive pre-training help the example CNN, against every fair baseline?

    python benchmarks/few_labels/few_labels.py --data digits --seeds 10

Only calls the library's harness (`kptk.training.experiment`, `kptk.training.arms`). Finished cells are kept in a file
of JSON lines beside this script, so an interrupted benchmark goes on where it stopped. Exit code 1 if the gate fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training import arms
from kptk.training.experiment import ALL, Draw, Grid, draw, paired_difference, table

HERE = Path(__file__).parent
LABELS = {"digits": (1, 5, 10, ALL), "mnist10k": (1, 5)}
TEST_ROWS = {"digits": 500, "mnist10k": 2000}
EPOCHS = {"digits": 100, "mnist10k": 20}
BATCH = {"digits": 128, "mnist10k": 256}
VIEWS = {"flip": 0.0, "crop": 0.6, "rotation": 20.0, "noise": 0.1, "grey": 0.0}
TEMPERATURE = 0.5
VALIDATION_PER_CLASS = 10
FINETUNE_STEPS = 300
# Gates: smallest mean gain in points, by labels per class; the interval must lie above 0 as well.
GATES = {"digits": {1: 6.0, 5: 1.0}, "mnist10k": {1: 0.0, 5: 0.0}}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return np.rint(digits.images * (255 / 16)).astype("uint8")[..., None], digits.target
    source = kptk.dataset("mnist10k")
    parts = (source, source.holdout())
    x = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    return x, np.concatenate([part.labels for part in parts])


def pretraining(name: str, rows: int) -> tuple[object, int]:
    """SimCLR with the product's own classes; returns a function that teaches a backbone, and its steps."""
    from kptk.training.feeding import steady
    from kptk.training.stream import batches, steps_per_epoch

    per_epoch = steps_per_epoch(rows, BATCH[name])
    steps = EPOCHS[name] * per_epoch

    def pretrain(backbone: object, data: Draw) -> dict[str, float]:
        keras.utils.set_random_seed(data.seed)
        views = kptk.preprocessor("image_views", seed=data.seed, **VIEWS)
        model = kptk.objective("contrastive", backbone=backbone, views=views, temperature=TEMPERATURE)
        rate = keras.optimizers.schedules.CosineDecay(0.0, steps - 50, warmup_target=1e-3, warmup_steps=50)
        model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4))
        stream = batches(kptk.ArraySource(data.pool), BATCH[name], data.seed, 0, steps)
        model.fit(steady(stream), steps_per_epoch=per_epoch, epochs=EPOCHS[name], verbose=0, shuffle=False)
        return {}

    return pretrain, steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(LABELS), default="digits")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--out", default="", help="file of finished cells; default: results-DATA.jsonl beside this script"
    )
    options = parser.parse_args()
    name = options.data
    x, y = load(name)
    rows = len(x) - TEST_ROWS[name]
    pretrain, steps = pretraining(name, rows)
    setup = arms.Setup(
        build=lambda: kptk.backbone("example_cnn", input_shape=x.shape[1:]),
        preprocessor=kptk.preprocessor("image_views", views=1, seed=0, **VIEWS),
        pretrain_steps=steps,
        finetune_steps=FINETUNE_STEPS,
        classes=10,
    )
    grid = Grid(options.out or HERE / f"results-{name}.jsonl")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    draws = (
        draw(
            x,
            y,
            seed=seed,
            labels_per_class=count,
            test_rows=TEST_ROWS[name],
            validation_per_class=VALIDATION_PER_CLASS,
        )
        for seed in seeds
        for count in LABELS[name]
    )
    started = time.perf_counter()
    for cell in grid.run(arms.make_arms(setup, pretrain), draws):
        print(
            f"{time.perf_counter() - started:7.1f} s  seed {cell.seed}  k {cell.labels_per_class or 'all'}  "
            f"{cell.arm:<24} {100 * cell.test:5.1f} %  ({cell.chosen})",
            flush=True,
        )
    print(
        f"\n{name}, {rows:,} rows of pool, {steps:,} pre-training steps, {FINETUNE_STEPS} fine-tuning steps, "
        f"{TEST_ROWS[name]:,} test rows, seeds {seeds.start}-{seeds.stop - 1}; accuracy in %, mean ± sd\n"
    )
    print(table(grid, arms.NAMES, LABELS[name]))
    return 0 if gate(grid, name) else 1


def gate(grid: Grid, name: str) -> bool:
    passed = True
    print("\nPaired differences in points, 95 % interval:")
    for count in LABELS[name]:
        ours = grid.best_of(arms.PRETRAINED, count, by="validation")
        scratch = grid.best_of(arms.SCRATCH, count, by="test")
        gain = paired_difference(ours, scratch)
        need = GATES[name].get(count)
        verdict = ""
        if need is not None:
            good = 100 * gain.mean >= need and gain.low > 0
            verdict = f"  gate >= {need:g} and interval above 0: {'pass' if good else 'FAIL'}"
            passed &= good
        print(
            f"k {count or 'all'}: {' or '.join(arms.PRETRAINED)} (by validation) minus best scratch arm (by test): "
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
