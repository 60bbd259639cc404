"""What batch normalisation changes: accuracy over a grid of learning rates, and how smooth the loss is along the gradient.

Two networks, each with and without batch normalisation before its activations, trained with plain SGD (no momentum, no decay,
no schedule) for a fixed number of steps, from the same initial weights and with the same batches. The moving averages that
inference uses keep 0.9 of themselves in a step, as in kptk's networks; a third arm keeps 0.99, which is Keras' default and
trains exactly as the second does.

- a perceptron of four layers of 128 on `breast_cancer` (standardised), 150 steps of 64 rows;
- the example CNN of kptk on 2,000 rows of `mnist10k`, 150 steps of 64 rows; its batch normalisation is between convolution and
  activation, and between dense layer and activation.

Accuracy is on the data's own test part, in inference mode, and nothing is chosen by it. Smoothness as in Santurkar et al. (2018),
figure 4: every fifth step at learning rate 0.1, the loss of the step's own batch is computed after moving the weights by `a`
times the gradient, for `a` in 0.05 to 0.4 (batch statistics on); reported are the range of these losses (variation of the loss),
the mean change of the gradient in the Euclidean norm (gradient predictiveness) and the largest of these changes over the distance
moved (effective smoothness), each a mean over steps. Seeds 0-4; the interval is that of Student's t over seeds.

    python benchmarks/batch_norm/batch_norm.py [--seeds 5] [--out benchmarks/batch_norm]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from kptk.training import backend

keras = backend.import_keras()

import tensorflow as tf

import kptk
from kptk.data import limited

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STEPS, BATCH = 150, 64
WATCHED_RATE, EVERY = 0.1, 5
DISTANCES = (0.05, 0.1, 0.2, 0.4)


def breast_cancer() -> tuple[tuple, ...]:
    source = kptk.dataset("breast_cancer")
    table = kptk.preprocessor("table", anchor="clean", seed=0)
    table.fit(source)
    parts = []
    for part in (source, source.holdout()):
        rows = table.prepared(part)
        features = keras.ops.convert_to_numpy(table.plain(rows.read(np.arange(len(rows)))))
        parts.append((features, rows.labels))
    return tuple(parts)


def digits() -> tuple[tuple, ...]:
    source = kptk.dataset("mnist10k")
    parts = (limited(source, 2000, 0), limited(source.holdout(), 1000, 0))
    return tuple((part.read(np.arange(len(part))).astype("float32") / 255, part.labels) for part in parts)


def perceptron(shape: tuple, classes: int, momentum: float) -> keras.Model:
    layers = keras.layers
    inputs = x = layers.Input(shape)
    for _ in range(4):
        x = layers.Dense(128)(x)
        x = layers.BatchNormalization(momentum=momentum)(x) if momentum else x
        x = layers.Activation("relu")(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def example_cnn(shape: tuple, classes: int, momentum: float) -> keras.Model:
    """The brief's network: Conv 32, pool, dense 128, dropout 0.2; its own batch normalisation is the only change."""
    layers = keras.layers
    inputs = x = layers.Input(shape)
    x = layers.Conv2D(32, 3)(x)
    x = layers.BatchNormalization(momentum=momentum)(x) if momentum else x
    x = layers.Flatten()(layers.MaxPooling2D(2)(layers.Activation("relu")(x)))
    x = layers.Dense(128)(x)
    x = layers.BatchNormalization(momentum=momentum)(x) if momentum else x
    x = layers.Dropout(0.2)(layers.Activation("relu")(x))
    return keras.Model(inputs, layers.Dense(classes)(x))


ARMS = {"without": (0.0, "#b5542c"), "with": (0.9, "#2c6fb5"), "with, averages of 0.99": (0.99, "#7a7a7a")}
"""What the moving averages keep in a step, 0 for no batch normalisation, and the colour of its line."""
CASES = {"perceptron on breast_cancer": (perceptron, breast_cancer), "example CNN on mnist10k": (example_cnn, digits)}
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Trainer:
    """One network with its compiled steps, which every seed and learning rate uses again."""

    def __init__(self, build, data: tuple, momentum: float) -> None:
        (self.x, self.y), (self.x_test, self.y_test) = data
        self.fresh = lambda: build(self.x.shape[1:], int(self.y.max()) + 1, momentum)
        self.model = self.fresh()
        self.optimizer = keras.optimizers.SGD(0.1)
        self.optimizer.build(self.model.trainable_variables)
        self.gradients, self.step = tf.function(self._gradients), tf.function(self._step)

    def _gradients(self, rows, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, self.model(rows, training=True))
        return loss, tape.gradient(loss, self.model.trainable_variables)

    def _step(self, rows, labels):
        loss, found = self._gradients(rows, labels)
        self.optimizer.apply(found, self.model.trainable_variables)
        return loss

    def train(self, rate: float, seed: int, *, watch: bool) -> dict[str, float]:
        keras.utils.set_random_seed(seed)
        self.model.set_weights(self.fresh().get_weights())
        self.optimizer.learning_rate = rate
        rng = np.random.default_rng([seed, 5])
        loss, smooth = float("nan"), []
        for number in range(STEPS):
            rows = rng.choice(len(self.x), BATCH, replace=False)
            batch = tf.constant(self.x[rows]), tf.constant(self.y[rows])
            if watch and number % EVERY == 0:
                smooth.append(along(self.model, self.gradients, batch))
            loss = float(self.step(*batch))
        logits = keras.ops.convert_to_numpy(self.model(self.x_test, training=False))
        # Where the loss is no number, argmax says class 0 of every row.
        figures = {"accuracy": float((np.nan_to_num(logits).argmax(1) == self.y_test).mean()), "loss": loss}
        if watch:
            figures |= {name: float(np.mean([one[name] for one in smooth])) for name in smooth[0]}
        return figures


def along(model: keras.Model, gradients, batch: tuple) -> dict[str, float]:
    """The loss and the gradient along the gradient's own direction; every variable is put back."""
    before = [tf.identity(variable.value) for variable in model.variables]
    _, start = gradients(*batch)
    losses, changes, ratios = [], [], []
    norm = float(tf.linalg.global_norm(start))
    for distance in DISTANCES:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        for variable, slope in zip(model.trainable_variables, start, strict=True):
            variable.assign(variable.value - distance * slope)
        loss, moved = gradients(*batch)
        change = float(tf.linalg.global_norm([a - b for a, b in zip(moved, start, strict=True)]))
        losses.append(float(loss))
        changes.append(change)
        ratios.append(change / max(distance * norm, 1e-12))
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return {
        "variation of the loss": max(losses) - min(losses),
        "change of the gradient": float(np.mean(changes)),
        "effective smoothness": max(ratios),
    }


def interval(values: list[float]) -> tuple[float, float]:
    mean = float(np.mean(values))
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, half


def measure(seeds: int, kept: Path) -> list[dict]:
    """Every cell, kept as it is finished, so that an interrupted run goes on."""
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(cell["case"], cell["arm"], cell["rate"], cell["seed"]) for cell in done}
    for case, (build, load) in CASES.items():
        data = load()
        for arm, (momentum, _) in ARMS.items():
            trainer = Trainer(build, data, momentum)
            for seed, rate in itertools.product(range(seeds), RATES):
                if (case, arm, rate, seed) in known:
                    continue
                begin = time.perf_counter()
                figures = trainer.train(rate, seed, watch=rate == WATCHED_RATE)
                cell = {"case": case, "arm": arm, "rate": rate, "seed": seed, **figures}
                done.append(cell)
                with kept.open("a") as file:
                    file.write(json.dumps(cell) + "\n")
                print(f"{case}, {arm}, seed {seed}, rate {rate}: {time.perf_counter() - begin:.1f} s", flush=True)
    return done


def values(cells: list[dict], case: str, arm: str, rate: float, name: str) -> list[float]:
    chosen = [c for c in cells if (c["case"], c["arm"], c["rate"]) == (case, arm, rate)]
    return [cell[name] for cell in chosen]


def report(cells: list[dict], seeds: int) -> str:
    lines = []
    for case in CASES:
        lines += [f"**{case}**: test accuracy in % after {STEPS} steps, {seeds} seeds", ""]
        lines += [f"| | {' | '.join(f'{rate:g}' for rate in RATES)} |", f"| --- |{' --- |' * len(RATES)}"]
        for arm in ARMS:
            found = [interval(values(cells, case, arm, rate, "accuracy")) for rate in RATES]
            lines.append(f"| {arm} | " + " | ".join(f"{100 * m:.1f} ± {100 * h:.1f}" for m, h in found) + " |")
        lines += [
            "",
            f"At learning rate {WATCHED_RATE:g}, along the gradient:",
            "",
            "| | without | with |",
            "| --- | --- | --- |",
        ]
        for name in ("variation of the loss", "change of the gradient", "effective smoothness"):
            found = [interval(values(cells, case, arm, WATCHED_RATE, name)) for arm in ("without", "with")]
            lines.append(f"| {name} | " + " | ".join(f"{m:.3g} ± {h:.2g}" for m, h in found) + " |")
        lines.append("")
    return "\n".join(lines)


def plot(cells: list[dict], out: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4))
    axes = figure.subplots(2, 2)
    for row, case in enumerate(CASES):
        left, right = axes[row]
        for arm, (_, colour) in ARMS.items():
            found = [interval(values(cells, case, arm, rate, "accuracy")) for rate in RATES]
            means, halves = (100 * np.array(part) for part in zip(*found, strict=True))
            left.errorbar(RATES, means, halves, color=colour, label=arm, marker="o", capsize=3)
        left.set_xscale("log")
        left.set(title=case, xlabel="learning rate", ylabel="test accuracy in %")
        if row == 0:
            left.legend(title="batch normalisation", fontsize="small")
        names = ("variation of the loss", "change of the gradient", "effective smoothness")
        for place, name in enumerate(names):
            pair = [interval(values(cells, case, arm, WATCHED_RATE, name)) for arm in ("without", "with")]
            base = pair[0][0]
            for shift, (mean, half), colour in ((-0.17, pair[0], "#b5542c"), (0.17, pair[1], "#2c6fb5")):
                right.bar(place + shift, mean / base, 0.3, yerr=half / base, color=colour, capsize=3)
        right.set_xticks(
            range(3), [name.replace(" of the ", "\nof the ").replace("effective ", "effective\n") for name in names]
        )
        right.set(title=f"along the gradient, rate {WATCHED_RATE:g}", ylabel="relative to without (less is smoother)")
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    cells = measure(args.seeds, args.out / "results.jsonl")
    print(report(cells, args.seeds))
    plot(cells, args.out / "batch_norm.png")


if __name__ == "__main__":
    main()
