"""What autoencoders and layer-wise pre-training are worth on scikit-learn's digits, beside every fair baseline.

    python benchmarks/autoencoder/autoencoder.py layerwise
    python benchmarks/autoencoder/autoencoder.py denoising

`layerwise` runs every arm around a five-layer sigmoid perceptron. The others run the pre-trained arms around the example
CNN on the draws of `benchmarks/few_labels`, whose baselines hold for them too. Finished cells are kept beside this script.
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
from kptk.training import arms
from kptk.training.experiment import ALL, Draw, Grid, draw, paired_difference, table

HERE = Path(__file__).parent
BASELINES = HERE.parent / "few_labels" / "results-digits.jsonl"
VIEWS = {"flip": 0.0, "crop": 0.6, "rotation": 20.0, "noise": 0.1, "grey": 0.0}  # of the augmented baseline
TEST_ROWS = 500
BATCH = 128
STEPS = 1000
FINETUNE_STEPS = 300
OBJECTIVES: dict[str, dict[str, Any]] = {
    "autoencoder": {},
    "denoising": {"noise": "mask", "amount": 0.25},
    "sparse": {"k": 25},
    "variational": {"latent_dim": 16},
    "super_resolution": {"factor": 4},
    "layerwise": {"noise": "mask", "amount": 0.25},
}


def load() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype("uint8")[..., None], digits.target


def pretraining(name: str) -> arms.Pretrain:
    """The product's own objective with plain `fit`; 1,000 steps in all, for layer-wise 200 for each layer."""
    rate = 1e-2 if name == "layerwise" else 1e-3
    stages = 5 if name == "layerwise" else 1

    def pretrain(backbone: Any, data: Draw) -> dict[str, float]:
        keras.utils.set_random_seed(data.seed)
        views = kptk.preprocessor("plain_images", views=1)
        model = kptk.objective(name, backbone=backbone, views=views, **OBJECTIVES[name])
        warmup = 50 // stages
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, STEPS // stages - warmup, warmup_target=rate, warmup_steps=warmup
        )
        model.compile(optimizer=keras.optimizers.AdamW(schedule, weight_decay=1e-4))
        rows = len(data.pool) // BATCH * BATCH
        history = model.fit(data.pool[:rows], batch_size=BATCH, epochs=STEPS * BATCH // rows, verbose=0).history
        return {key: round(float(values[-1]), 4) for key, values in history.items()}

    return pretrain


def setup(name: str) -> arms.Setup:
    def build() -> Any:
        if name != "layerwise":
            return kptk.backbone("example_cnn", input_shape=(8, 8, 1))
        return kptk.backbone("mlp", input_shape=(8, 8, 1), units=128, depth=5, activation="sigmoid")

    return arms.Setup(
        build=build,
        preprocessor=kptk.preprocessor("image_views", views=1, seed=0, **VIEWS),
        pretrain_steps=STEPS,
        finetune_steps=FINETUNE_STEPS,
        classes=10,
        rates=(1e-2, 1e-3, 3e-4) if name == "layerwise" else (1e-3, 3e-4),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objective", choices=sorted(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    name = options.objective
    x, y = load()
    labels = (10, ALL) if name == "layerwise" else (1, 5, 10)
    grid = Grid(HERE / f"results-{name}.jsonl")
    chosen = arms.make_arms(setup(name), pretraining(name))
    if name != "layerwise":
        chosen = {arm: chosen[arm] for arm in arms.PRETRAINED}
    draws = (
        draw(x, y, seed=seed, labels_per_class=count, test_rows=TEST_ROWS, validation_per_class=10)
        for seed in range(options.seeds)
        for count in labels
    )
    started = time.perf_counter()
    for cell in grid.run(chosen, draws):
        print(
            f"{time.perf_counter() - started:7.1f} s  seed {cell.seed}  k {cell.labels_per_class or 'all'}  "
            f"{cell.arm:<24} {100 * cell.test:5.1f} %  ({cell.chosen})",
            flush=True,
        )
    print(f"\n{name} on digits, seeds 0-{options.seeds - 1}; test accuracy in %, mean ± sd\n")
    print(table(grid, tuple(chosen), labels))
    baselines = grid if name == "layerwise" else Grid(BASELINES)
    print("\nPaired differences in points, 95 % interval:")
    for count in labels:
        ours = grid.best_of(arms.PRETRAINED, count, by="validation")
        scratch = baselines.best_of(arms.SCRATCH, count, by="test")
        frozen = {seed: cell.test for seed, cell in grid.scores("frozen", count).items()}
        random = {seed: cell.test for seed, cell in baselines.scores("random", count).items()}
        for text, pair in (("best scratch arm", (ours, scratch)), ("random encoder, both frozen", (frozen, random))):
            gain = paired_difference(*pair)
            print(
                f"k {count or 'all'}: against the {text}: {100 * gain.mean:+.1f} "
                f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
            )


if __name__ == "__main__":
    main()
