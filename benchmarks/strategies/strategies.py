"""Which way to fine-tune? Every strategy on image sets, from encoders of ours and from SqueezeNet, beside the controls.

    python benchmarks/strategies/strategies.py --data mnist10k
    python benchmarks/strategies/strategies.py --data emoji48
    python benchmarks/strategies/strategies.py --data orl_faces_30 --path orl_faces_30.npz

Finished cells are kept in a file of JSON lines beside this script, so an interrupted benchmark goes on where it stopped.
`--table` prints what is there without running anything. The protocol is in README.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training.arms import probe
from kptk.training.backbones import reinitialised
from kptk.training.experiment import Draw, Grid, Outcome
from kptk.training.features import Encoder, in_batches
from kptk.training.phases import Predictor

HERE = Path(__file__).parent
STEPS, BATCH, RATE = 300, 32, 1e-3
LABELS = {"mnist10k": (1, 5, 10, 50), "emoji48": (1, 5, 10, 50), "orl_faces_30": (1, 5)}
HELD = {"mnist10k": 10, "emoji48": 5, "orl_faces_30": 1}
"""Validation rows of each class: only logistic regression chooses anything, and it chooses its strength by them."""
ENCODERS = {"mnist10k": ("ours",), "emoji48": ("squeezenet", "ours"), "orl_faces_30": ("ours", "squeezenet")}
STRATEGIES: dict[str, tuple[str, dict]] = {
    "weight": ("weight", {}),
    "ulmfit": ("weight", {"decay": 2.6, "unfreeze": 3, "slanted": True}),
    "lp_ft": ("lp_ft", {}),
    "feature_extraction": ("feature_extraction", {}),
    "bitfit": ("bitfit", {}),
    "lora": ("lora", {}),
    "few_shot": ("few_shot", {}),
}
PRETRAINING = {  # epochs, batch, views
    "mnist10k": (10, 256, {"flip": 0.0, "crop": 0.6, "rotation": 20.0, "noise": 0.1, "grey": 0.0}),
    "emoji48": (30, 128, {"crop": 0.4, "jitter": 0.2, "grey": 0.1}),
    "orl_faces_30": (100, 90, {"crop": 0.6, "grey": 0.0}),
}
FACE_TEST = 4


def load(name: str, path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows, classes, and the row numbers of the set's own test part (None: drawn by the seed)."""
    if name == "orl_faces_30":
        if not path:
            raise SystemExit("orl_faces_30 is not bundled: give its file with --path orl_faces_30.npz")
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["images"], arrays["subject"]
        # Half the size: 56 x 46.
        x = x.reshape(len(x), 56, 2, 46, 2).mean(axis=(2, 4))
        return np.rint(x).astype("uint8")[..., None], y.astype("int64"), None
    source = kptk.dataset(name)
    parts = (source, source.holdout())
    x = np.concatenate([part.read(np.arange(len(part))) for part in parts])
    return x, np.concatenate([part.labels for part in parts]), np.arange(len(source), len(x))


def draws(name: str, x: np.ndarray, y: np.ndarray, test: np.ndarray | None, seeds: range) -> Iterator[Draw]:
    """One draw a seed and number of labels, by class; fewer labels are a part of more."""
    for seed in seeds:
        rng = np.random.default_rng([seed, 31])
        held_out = test
        if held_out is None:
            held_out = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:FACE_TEST] for c in np.unique(y)])
        pool = np.setdiff1d(np.arange(len(x)), held_out)
        orders = [rng.permutation(pool[y[pool] == label]) for label in np.unique(y)]
        held = np.concatenate([order[: HELD[name]] for order in orders])
        for count in LABELS[name]:
            rows = np.concatenate([order[HELD[name] :][:count] for order in orders])
            assert len(rows) == count * len(orders)
            yield Draw(
                seed=seed,
                labels_per_class=count,
                pool=x[pool],
                pool_y=y[pool],
                x=x[rows],
                y=y[rows],
                validation=(x[held], y[held]),
                test=(x[held_out], y[held_out]),
            )


def build(encoder: str, name: str, shape: tuple[int, ...]) -> keras.Model:
    if encoder == "squeezenet":
        return kptk.backbone("squeezenet", input_shape=shape)
    if name == "emoji48":
        return kptk.backbone("conv_stack", input_shape=shape, filters=32, depth=4, batch_norm=True)
    return kptk.backbone("example_cnn", input_shape=shape)


class Weights:
    """Weights to start from, of the current seed: pre-trained once, and fresh."""

    def __init__(self, encoder: str, name: str) -> None:
        self.encoder, self.name = encoder, name
        self._now: tuple[int, list[np.ndarray]] = (-1, [])

    def pretrained(self, data: Draw) -> keras.Model:
        keras.utils.set_random_seed(data.seed)
        backbone = build(self.encoder, self.name, data.pool.shape[1:])
        if self.encoder == "squeezenet":
            return backbone
        if self._now[0] != data.seed:
            self._teach(backbone, data)
            self._now = (data.seed, backbone.get_weights())
        backbone.set_weights(self._now[1])
        return backbone

    def fresh(self, data: Draw) -> keras.Model:
        return reinitialised(build(self.encoder, self.name, data.pool.shape[1:]), data.seed)

    def _teach(self, backbone: keras.Model, data: Draw) -> None:
        """SimCLR on the pool, without labels."""
        epochs, batch, options = PRETRAINING[self.name]
        views = kptk.preprocessor("image_views", seed=data.seed, **options)
        model = kptk.objective("contrastive", backbone=backbone, views=views, temperature=0.5)
        model.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-4))
        whole = len(data.pool) // batch * batch
        model.fit(data.pool[:whole], batch_size=batch, epochs=epochs, verbose=0)


def tuned(backbone: keras.Model, strategy: str, data: Draw, options: dict) -> Outcome:
    """Plain compile and fit with the strategy's defaults; the last epoch is scored."""
    keras.utils.set_random_seed(data.seed)
    model = kptk.finetune(strategy, backbone, num_classes=int(data.y.max()) + 1, preprocessor="plain_images", **options)
    model.compile(keras.optimizers.AdamW(RATE, weight_decay=1e-4), metrics=None)
    per_epoch = -(-len(data.x) // BATCH)
    started = time.perf_counter()
    model.fit(data.x, data.y, batch_size=min(BATCH, len(data.x)), epochs=-(-STEPS // per_epoch), verbose=0)
    seconds = time.perf_counter() - started
    predict = Predictor(model).predict_on_batch
    scores = [float((in_batches(predict, rows).argmax(-1) == y).mean()) for rows, y in (data.validation, data.test)]
    trains = sum(int(np.prod(v.shape)) for v in {id(v): v for p in model.phases() for v in p.weights}.values())
    return Outcome(validation=scores[0], test=scores[1], facts={"seconds": round(seconds, 1), "trainable": trains})


def logistic(backbone: keras.Model, data: Draw) -> Outcome:
    encoder = Encoder(backbone, kptk.preprocessor("plain_images"))

    def features(rows: np.ndarray) -> np.ndarray:
        return in_batches(encoder.predict_on_batch, rows)

    return probe(features, data, centre=features(data.pool[:1024]).mean(axis=0))


def raw(data: Draw) -> Outcome:
    def flat(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(len(rows), -1).astype("float32") / np.float32(255)

    both = (probe(flat, data), probe(flat, data, centre=flat(data.pool).mean(axis=0)))
    return max(both, key=lambda outcome: outcome.validation)


def make_arms(name: str) -> dict[str, Callable[[Draw], Outcome]]:
    """Every arm by name, the controls first."""
    arms: dict[str, Callable[[Draw], Outcome]] = {"raw": raw}
    for encoder in ENCODERS[name]:
        weights = Weights(encoder, name)
        arms[f"{encoder}/random"] = lambda data, w=weights: logistic(w.fresh(data), data)
        arms[f"{encoder}/scratch"] = lambda data, w=weights: tuned(w.fresh(data), "weight", data, {})
        arms[f"{encoder}/frozen"] = lambda data, w=weights: logistic(w.pretrained(data), data)
        for arm, (strategy, options) in STRATEGIES.items():
            arms[f"{encoder}/{arm}"] = lambda data, w=weights, s=strategy, o=options: tuned(
                w.pretrained(data), s, data, o
            )

    def cleared(arm: Callable[[Draw], Outcome]) -> Callable[[Draw], Outcome]:
        def run(data: Draw) -> Outcome:
            keras.backend.clear_session()
            return arm(data)

        return run

    return {key: cleared(arm) for key, arm in arms.items()}


@lru_cache
def t_quantile(n: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, n - 1))


def table(grid: Grid, arms: list[str], labels: tuple[int, ...]) -> str:
    """Mean test accuracy in % with the half-width of its 95 % interval over the seeds (Student's t)."""
    lines = [f"| arm | {' | '.join(f'k = {k}' for k in labels)} |", "| --- |" + " ---: |" * len(labels)]
    for arm in arms:
        cells = []
        for count in labels:
            values = [100 * cell.test for cell in grid.scores(arm, count).values()]
            half = t_quantile(len(values)) * np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
            few = f" (n = {len(values)})" if 1 < len(values) < 5 else ""
            cells.append(f"{np.mean(values):.1f} ± {half:.1f}{few}" if len(values) > 1 else "")
        if any(cells):
            lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(LABELS), required=True)
    parser.add_argument("--path", default="", help="file of a set that is not bundled")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--out", default="", help="file of finished cells; default: results-DATA.jsonl beside this script"
    )
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    name = options.data
    grid = Grid(options.out or HERE / f"results-{name}.jsonl")
    arms = make_arms(name)
    if not options.table:
        x, y, test = load(name, options.path)
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        started = time.perf_counter()
        for cell in grid.run(arms, draws(name, x, y, test, seeds)):
            print(
                f"{time.perf_counter() - started:7.1f} s  seed {cell.seed}  k {cell.labels_per_class}  {cell.arm:<28} "
                f"{100 * cell.test:5.1f} %",
                flush=True,
            )
    print(table(grid, list(arms), LABELS[name]))


if __name__ == "__main__":
    main()
