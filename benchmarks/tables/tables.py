"""Few labels on tables: does pre-training help a perceptron, beside logistic regression and gradient boosting?

    python benchmarks/tables/tables.py --data adult --seeds 5

Every arm of a seed sees the same rows. Scaling and encoding are learned of the seed's pool (no test row), and all arms get the
same features. Only calls the library's harness (`kptk.training.experiment`, `kptk.training.arms`). Finished cells are kept in a
file of JSON lines beside this script, so an interrupted benchmark goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.data import ArraySource
from kptk.training import arms
from kptk.training.experiment import ALL, Draw, Grid, Outcome, draw, paired_difference, table

HERE = Path(__file__).parent
LABELS = (5, 10, 50, ALL)
TEST_ROWS = {"adult": 5000, "breast_cancer": 169}
STEPS = {"adult": 1000, "breast_cancer": 500}
BATCH = {"adult": 256, "breast_cancer": 64}
FINETUNE_STEPS = 300
VALIDATION_PER_CLASS = 10
UNITS, DEPTH = 128, 3
OBJECTIVES = {"scarf": 0.6, "masked_cells": 0.6, "table_autoencoder": 0.2}
"""With the share of the columns that the preprocessor's second view takes from other rows."""
CONTROLS = ("logistic", "boosting", "random", *arms.SCRATCH)
LEAVES, RATES = (1, 5, 20), (0.03, 0.1)


def load(name: str) -> tuple[np.ndarray, np.ndarray, tuple]:
    source = kptk.dataset(name)
    parts = (source, source.holdout())
    rows = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    return rows, np.concatenate([part.labels for part in parts]), source.columns


def fitted(pool: np.ndarray, columns: tuple, **options: object) -> object:
    source = ArraySource(pool, inputs="table")
    source.columns = columns
    made = kptk.preprocessor("table", seed=0, anchor="clean", **options)
    made.fit(source)
    return made


def prepared(data: Draw, layer: object) -> Draw:
    return replace(
        data,
        pool=layer.prepare(data.pool),
        x=layer.prepare(data.x),
        validation=(layer.prepare(data.validation[0]), data.validation[1]),
        test=(layer.prepare(data.test[0]), data.test[1]),
    )


def logistic(layer: object) -> arms.Arm:
    def plain(x: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(layer.plain(x))

    return lambda data: arms.probe(plain, data)


def boosting(layer: object) -> arms.Arm:
    """Gradient-boosted trees on codes and numbers; leaf size and learning rate are chosen on the validation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    names = [column.kind == "category" for column in layer.known.columns]

    def run(data: Draw) -> Outcome:
        outcomes = []
        for leaf in LEAVES:
            for rate in RATES:
                model = HistGradientBoostingClassifier(
                    min_samples_leaf=leaf, learning_rate=rate, categorical_features=names, random_state=data.seed
                ).fit(data.x, data.y)
                scores = [float(model.score(x, y)) for x, y in (data.validation, data.test)]
                chosen = f"leaf {leaf}, rate {rate:g}"
                outcomes.append(Outcome(validation=scores[0], test=scores[1], chosen=chosen))
        return max(outcomes, key=lambda outcome: outcome.validation)

    return run


def pretraining(name: str, objective: str, state: dict) -> arms.Pretrain:
    from kptk.training.feeding import steady
    from kptk.training.stream import batches

    def pretrain(backbone: object, data: Draw) -> dict[str, float]:
        keras.utils.set_random_seed(data.seed)
        from kptk_tables.table import Table

        count = 1 if objective == "masked_cells" else 2
        views = Table(views=count, anchor="clean", corruption=OBJECTIVES[objective], seed=data.seed, state=state)
        model = kptk.objective(objective, backbone=backbone, views=views)
        steps = STEPS[name]
        rate = keras.optimizers.schedules.CosineDecay(0.0, steps - 50, warmup_target=1e-3, warmup_steps=50)
        model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4))
        stream = batches(ArraySource(data.pool), BATCH[name], data.seed, 0, steps)
        started = time.perf_counter()
        history = model.fit(steady(stream), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)
        chance = model.chance_loss(BATCH[name])
        return {"loss": history.history["loss"][-1], "chance": chance, "seconds": time.perf_counter() - started}

    return pretrain


def seed_arms(name: str, layer: object) -> dict[str, arms.Arm]:
    features = layer.view_shape(())[0]
    augmenting = type(layer)(views=1, anchor="corrupted", corruption=0.2, seed=0, state=layer.known.to_dict())
    setup = arms.Setup(
        build=lambda: kptk.backbone("table_mlp", input_shape=(features,), units=UNITS, depth=DEPTH),
        preprocessor=augmenting,
        pretrain_steps=STEPS[name],
        finetune_steps=FINETUNE_STEPS,
        classes=2,
    )
    bench = arms.Bench(setup)
    made = {"logistic": logistic(layer), "boosting": boosting(layer)}
    made |= {key: arm for key, arm in bench.controls().items() if key in CONTROLS}
    for objective in OBJECTIVES:
        found = bench.transfers(pretraining(name, objective, layer.known.to_dict()), f"{objective}/")
        made |= {key: arm for key, arm in found.items() if key.endswith(arms.PRETRAINED)}
    return made


def draws(rows: np.ndarray, y: np.ndarray, name: str, seed: int, layer: object) -> Iterator[Draw]:
    for count in LABELS:
        yield prepared(cut(rows, y, name, seed, count), layer)


def cut(rows: np.ndarray, y: np.ndarray, name: str, seed: int, count: int) -> Draw:
    return draw(
        rows,
        y,
        seed=seed,
        labels_per_class=count,
        test_rows=TEST_ROWS[name],
        validation_per_class=VALIDATION_PER_CLASS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(TEST_ROWS), default="adult")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--out", default="", help="file of finished cells; default: results-DATA.jsonl beside this script"
    )
    options = parser.parse_args()
    name = options.data
    rows, y, columns = load(name)
    grid = Grid(options.out or HERE / f"results-{name}.jsonl")
    started = time.perf_counter()
    for seed in range(options.seeds):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        layer = fitted(cut(rows, y, name, seed, 5).pool, columns)
        for cell in grid.run(seed_arms(name, layer), draws(rows, y, name, seed, layer)):
            print(
                f"{time.perf_counter() - started:7.1f} s  seed {cell.seed}  k {cell.labels_per_class or 'all'}  "
                f"{cell.arm:<26} {100 * cell.test:5.1f} %  ({cell.chosen})",
                flush=True,
            )
    report(grid, name, len(rows) - TEST_ROWS[name], options.seeds)


def report(grid: Grid, name: str, pool: int, seeds: int) -> None:
    transfers = [f"{objective}/{arm}" for objective in OBJECTIVES for arm in arms.PRETRAINED]
    print(
        f"\n{name}: pool of {pool:,} rows, {STEPS[name]:,} pre-training steps, {FINETUNE_STEPS} fine-tuning steps, "
        f"{TEST_ROWS[name]:,} test rows, seeds 0-{seeds - 1}; accuracy in %, mean ± sd\n"
    )
    print(table(grid, (*CONTROLS, *transfers), LABELS))
    print("\nPaired differences in points, 95 % interval (the pre-trained arm by validation, the other by test):\n")
    print("| | " + " | ".join(f"k = {count or 'all'}" for count in LABELS) + " |\n| --- |" + " ---: |" * len(LABELS))
    others = {"best scratch arm": arms.SCRATCH, "logistic": ("logistic",), "boosting": ("boosting",)}
    for objective in OBJECTIVES:
        for what, against in others.items():
            cells = []
            for count in LABELS:
                ours = grid.best_of([f"{objective}/{arm}" for arm in arms.PRETRAINED], count, by="validation")
                gain = paired_difference(ours, grid.best_of(against, count, by="test"))
                cells.append(f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]")
            print(f"| {objective} - {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
