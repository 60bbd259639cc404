"""Labels in one domain, the test in another: what do DANN, CORAL, MMD and continued pre-training recover?

Source: `mnist10k` in three equal channels. Target: digits blended with darkened crops of the bundled emoji,
``|crop - digit|``, as MNIST-M blends them with photographs. No digit is in both domains. The protocol is in README.md.

    python benchmarks/domain/domain.py --seeds 5

Finished cells are kept in a file of JSON lines beside this script, so an interrupted benchmark goes on where it stopped.
`--table` prints what is there without running anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training.experiment import Draw, Grid, Outcome, paired_difference
from kptk.training.features import in_batches
from kptk.training.phases import Predictor

HERE = Path(__file__).parent
SIDE, ROWS, VALIDATION, TEST = 28, 2500, 500, 2000
STEPS, BATCH, RATE = 600, 32, 1e-3
PRETRAIN_EPOCHS, PRETRAIN_BATCH = 8, 250
VIEWS = {"flip": 0.0, "crop": 0.6, "rotation": 20.0, "noise": 0.1}
ARMS = (
    "source only", "source pre-training", "continued", "coral", "mmd", "dann", "target-trained"
)  # fmt: skip


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The digits in the source domain, the same in the target domain, and their classes; always the same bits."""
    digits, emoji = kptk.dataset("mnist10k"), kptk.dataset("emoji48")
    parts = (digits, digits.holdout())
    grey = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    y = np.concatenate([part.labels for part in parts])
    # At half their brightness, as dark as the photographs of MNIST-M: most emoji stand on white.
    pictures = emoji.read(np.arange(len(emoji))).astype("int16") // 2
    rng = np.random.default_rng([28, 48])
    which = rng.integers(0, len(pictures), len(grey))
    # Crops of the middle: the rims of most pictures are white.
    corners = rng.integers(4, pictures.shape[1] - SIDE - 4 + 1, (len(grey), 2))
    target = np.empty((len(grey), SIDE, SIDE, 3), "uint8")
    for index, (picture, (top, left)) in enumerate(zip(which, corners, strict=True)):
        crop = pictures[picture, top : top + SIDE, left : left + SIDE]
        target[index] = np.abs(crop - grey[index])
    return np.repeat(grey, 3, axis=-1), target, y


def draws(source: np.ndarray, target: np.ndarray, y: np.ndarray, seeds: range) -> Iterator[Draw]:
    """Labelled source rows as `x`, unlabelled target rows as `pool`; validation in the source, test in the target."""
    for seed in seeds:
        order = np.random.default_rng([seed, 33]).permutation(len(y))
        test, held, own, other = np.split(order, np.cumsum([TEST, VALIDATION, ROWS]))
        other = other[:ROWS]
        yield Draw(
            seed=seed,
            labels_per_class=0,
            pool=target[other],
            pool_y=y[other],
            x=source[own],
            y=y[own],
            validation=(source[held], y[held]),
            test=(target[test], y[test]),
        )


def network(seed: int) -> keras.Model:
    """The form of the DANN paper's digits network with fewer filters: two convolutions and a dense layer."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3), name="images")
    x = inputs
    for index, filters in enumerate((16, 32)):
        x = keras.layers.Conv2D(filters, 5, activation="relu", name=f"conv{index}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{index}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(100, activation="relu", name="dense")(x)
    return keras.Model(inputs, x, name="digits_network")


def taught(backbone: keras.Model, rows: np.ndarray, seed: int) -> keras.Model:
    """SimCLR on rows without labels, in place."""
    views = kptk.preprocessor("image_views", seed=seed, **VIEWS)
    model = kptk.objective("contrastive", backbone=backbone, views=views, temperature=0.5)
    model.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-4))
    model.fit(rows, batch_size=PRETRAIN_BATCH, epochs=PRETRAIN_EPOCHS, verbose=0)
    return backbone


class Start:
    """Pre-trained weights of the current seed: on the source's rows, and continued on the target's."""

    def __init__(self) -> None:
        self._now: tuple[int, dict[str, list[np.ndarray]]] = (-1, {})

    def of(self, data: Draw, which: str) -> keras.Model:
        if self._now[0] != data.seed:
            backbone = taught(network(data.seed), data.x, data.seed)
            weights = {"source": backbone.get_weights()}
            weights["continued"] = taught(backbone, data.pool, data.seed).get_weights()
            self._now = (data.seed, weights)
        backbone = network(data.seed)
        backbone.set_weights(self._now[1][which])
        return backbone


def tuned(
    backbone: keras.Model, strategy: str, data: Draw, x: np.ndarray, y: np.ndarray, batch: int, **options: object
) -> Outcome:
    """Plain compile and fit for a fixed number of steps; the last one is scored."""
    keras.utils.set_random_seed(data.seed)
    model = kptk.finetune(strategy, backbone, num_classes=10, preprocessor="plain_images", **options)
    model.compile(keras.optimizers.Adam(RATE), metrics=None)
    per_epoch = -(-(len(x) * (2 if batch > BATCH else 1)) // batch)
    started = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=round(STEPS / per_epoch), verbose=0)
    seconds = time.perf_counter() - started
    predict = Predictor(model).predict_on_batch
    scores = [
        float((in_batches(predict, rows).argmax(-1) == truth).mean()) for rows, truth in (data.validation, data.test)
    ]
    return Outcome(validation=scores[0], test=scores[1], facts={"seconds": round(seconds, 1)})


def make_arms() -> dict[str, Callable[[Draw], Outcome]]:
    """Every arm by name. Each step sees 32 labelled rows; the adapting ones 32 rows of the target as well."""
    start = Start()

    def plain(data: Draw, backbone: keras.Model) -> Outcome:
        return tuned(backbone, "weight", data, data.x, data.y, BATCH)

    def adapted(strategy: str, backbone: keras.Model, data: Draw) -> Outcome:
        return tuned(backbone, strategy, data, data.x, data.y, 2 * BATCH, target=data.pool)

    arms: dict[str, Callable[[Draw], Outcome]] = {
        "source only": lambda data: plain(data, network(data.seed)),
        "source pre-training": lambda data: plain(data, start.of(data, "source")),
        "continued": lambda data: plain(data, start.of(data, "continued")),
        "coral": lambda data: adapted("coral", network(data.seed), data),
        "mmd": lambda data: adapted("mmd", network(data.seed), data),
        "dann": lambda data: adapted("dann", network(data.seed), data),
        "target-trained": lambda data: tuned(network(data.seed), "weight", data, data.pool, data.pool_y, BATCH),
    }

    def cleared(arm: Callable[[Draw], Outcome]) -> Callable[[Draw], Outcome]:
        def run(data: Draw) -> Outcome:
            keras.backend.clear_session()
            return arm(data)

        return run

    return {name: cleared(arms[name]) for name in ARMS}


def table(grid: Grid) -> str:
    """Mean accuracy with the half-width of its 95 % interval, and the gain over `source only`, paired by seed."""
    from scipy import stats

    lines = ["| arm | source, % | target, % | gain in the target, points |", "| --- | ---: | ---: | ---: |"]
    base = {seed: cell.test for seed, cell in grid.scores("source only", 0).items()}
    for arm in ARMS:
        cells = grid.scores(arm, 0)
        if len(cells) < 2:
            continue
        figures = []
        for part in ("validation", "test"):
            values = [100 * getattr(cell, part) for cell in cells.values()]
            half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
            figures.append(f"{np.mean(values):.1f} ± {half:.1f}")
        gain = ""
        if arm != ARMS[0]:
            found = paired_difference({seed: cell.test for seed, cell in cells.items()}, base)
            gain = f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        lines.append(f"| {arm} | {figures[0]} | {figures[1]} | {gain} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", default="", help="file of finished cells; default: results.jsonl beside this script")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    grid = Grid(options.out or HERE / "results.jsonl")
    if not options.table:
        started = time.perf_counter()
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        for cell in grid.run(make_arms(), draws(*load(), seeds)):
            print(
                f"{time.perf_counter() - started:7.1f} s  seed {cell.seed}  {cell.arm:<22} source {100 * cell.validation:5.1f} %"
                f"  target {100 * cell.test:5.1f} %",
                flush=True,
            )
    print(table(grid))


if __name__ == "__main__":
    main()
