"""The vanishing gradient, and what pre-training does about it.

    python benchmarks/recurrent/long_lag.py --out benchmarks/recurrent        # JAX runs long sequences fastest

Task: the first of `--lag` + 1 symbols says the class (one of 4), all others are noise; the class is asked for after the last. The
gradient has to come back over the whole lag. Unlabelled data: the same symbols, but here and there a question mark, behind which
the class symbol stands again, 1 to `--gap` steps after the last: a language model that is to predict it learns to remember, over
short distances first. Arms, each seed with its own data and weights:

- scratch: the labelled task alone, with as many steps as the other arms have in all;
- language model: `--pretrain` steps of the objective `recurrent`, then the labelled task;
- autoencoder: as many steps of `sequence_autoencoder`, then the labelled task.

A run succeeds if it is right on 95 % of 1,000 new sequences. Gradients: |dL/ds_t| of the labelled loss for the state s = (h, c)
after step t, over the same of the last step, before training and after pre-training.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training.pretrainer import with_head

CLASSES, NOISE = 4, 8
FIRST_CLASS, FIRST_NOISE, ASK = 1, 1 + CLASSES, 1 + CLASSES + NOISE
VOCABULARY = ASK + 1
ARMS = {"scratch": None, "language model": "recurrent", "autoencoder": "sequence_autoencoder"}


def labelled(count: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sequences whose first symbol is the class."""
    y = rng.integers(0, CLASSES, count)
    x = rng.integers(FIRST_NOISE, ASK, (count, length)).astype("int32")
    x[:, 0] = FIRST_CLASS + y
    return x, y


def unlabelled(count: int, length: int, gap: int, rng: np.random.Generator) -> np.ndarray:
    """The same with questions and answers at distances up to a gap, uniform on a logarithmic scale."""
    x, y = labelled(count, length, rng)
    for row, label in zip(x, y, strict=True):
        place = 1
        while True:
            place += int(np.exp(rng.uniform(0, np.log(gap))))
            if place + 1 >= length:
                break
            row[place : place + 2] = ASK, FIRST_CLASS + label
            place += 2
    return x


def model_of(length: int, units: int) -> keras.Model:
    return kptk.backbone("lstm", input_shape=(length,), vocabulary=VOCABULARY, embedding_dim=16, units=units)


def gradient_profile(backbone: keras.Model, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Mean norm of the gradient of the state (h, c) after each step, over that of the last one, under a fixed random head."""
    ops = keras.ops
    cell = backbone.get_layer("encoder").get_layer("layer0").cell
    vectors = ops.swapaxes(backbone.get_layer("embed")(x), 0, 1)
    head = np.random.default_rng(0).normal(size=(cell.units, CLASSES)).astype("float32") / np.sqrt(cell.units)
    nothing = np.zeros((len(vectors), 2, len(x), cell.units), "float32")

    def loss(push):  # a push on the state after every step, of size 0
        def step(state, inputs):
            vector, pushed = inputs
            _, (h, c) = cell(vector, list(state))
            return [h + pushed[0], c + pushed[1]], h[0, 0]

        zeros = ops.zeros((len(x), cell.units))
        (h, _), _ = ops.scan(step, [zeros, zeros], (vectors, push))
        return ops.sum(keras.losses.sparse_categorical_crossentropy(y, ops.matmul(h, head), from_logits=True))

    _, (gradient,) = value_and_gradients(loss, nothing)
    norms = np.sqrt(np.square(gradient.astype("float64")).sum(axis=(1, 3))).mean(axis=1)
    return (norms / norms[-1]).tolist()


def run(seed: int, arm: str, options: argparse.Namespace) -> dict:
    """One arm of one seed."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([seed, 5])
    length, batch = options.lag + 1, options.batch
    backbone = model_of(length, options.units)
    test = labelled(1000, length, rng)
    before = gradient_profile(backbone, test[0][:64], test[1][:64])
    start = time.perf_counter()
    steps = options.finetune + (options.pretrain if ARMS[arm] is None else 0)
    loss = None
    if ARMS[arm]:
        model = kptk.objective(ARMS[arm], backbone=backbone, views=None)
        model.compile(optimizer=keras.optimizers.Adam(options.rate, global_clipnorm=1.0))
        x = unlabelled(options.pretrain * batch, length, options.gap, rng)
        loss = model.fit(x, batch_size=batch, epochs=1, verbose=0).history["loss"][-1]
    after = gradient_profile(backbone, test[0][:64], test[1][:64])
    classifier = with_head(backbone, keras.layers.Dense(CLASSES))
    classifier.compile(
        optimizer=keras.optimizers.Adam(options.rate, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x, y = labelled(steps * batch, length, rng)
    classifier.fit(x, y, batch_size=batch, epochs=1, verbose=0)
    accuracy = float(classifier.evaluate(*test, batch_size=250, verbose=0)[1])
    record = {"arm": arm, "seed": seed, "lag": options.lag, "accuracy": round(accuracy, 4), "success": accuracy >= 0.95}
    record |= {"pretrain_loss": loss, "seconds": round(time.perf_counter() - start, 1)}
    return record | {"units": options.units, "gradient_before": before, "gradient_after": after}


def draw(records: list[dict], path: Path) -> None:
    """Gradient profiles: each seed thin, the geometric mean thick."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    curves = {"before training": [r["gradient_before"] for r in records if r["arm"] == "scratch"]}
    for arm in ("language model", "autoencoder"):
        curves[f"after pre-training: {arm}"] = [r["gradient_after"] for r in records if r["arm"] == arm]
    for colour, (name, profiles) in zip(("tab:grey", "tab:blue", "tab:orange"), curves.items(), strict=True):
        if not profiles:
            continue
        values = np.maximum(np.array(profiles), 1e-30)
        steps = np.arange(values.shape[1])
        axes.plot(steps, values.T, color=colour, alpha=0.2, linewidth=0.7)
        axes.plot(steps, np.exp(np.log(values).mean(axis=0)), color=colour, linewidth=2, label=name)
    axes.set(yscale="log", xlabel="step t", ylabel="|dL/ds_t| / |dL/ds_T|", title="How much of the gradient comes back")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--lag", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--pretrain", type=int, default=1000, help="Steps of unlabelled sequences.")
    parser.add_argument("--finetune", type=int, default=300, help="Steps of labelled sequences.")
    parser.add_argument("--gap", type=int, default=20, help="Largest distance of a question of the unlabelled data.")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    options = parser.parse_args()
    records = []
    results = options.out / f"results-lag{options.lag}.jsonl"
    with results.open("w", encoding="utf-8") as file:
        for seed in range(options.seeds):
            for arm in options.arms:
                records.append(run(seed, arm, options))
                file.write(json.dumps(records[-1]) + "\n")
                file.flush()
                shown = {key: value for key, value in records[-1].items() if not key.startswith("gradient")}
                ratios = {when: f"{records[-1][f'gradient_{when}'][0]:.1e}" for when in ("before", "after")}
                print(json.dumps(shown | ratios), flush=True)
    draw(records, options.out / f"gradients-lag{options.lag}.png")
    for arm in options.arms:
        own = [record for record in records if record["arm"] == arm]
        print(f"{arm}: {sum(record['success'] for record in own)} of {len(own)} succeed")


if __name__ == "__main__":
    main()
