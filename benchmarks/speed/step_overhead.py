"""What `model.fit` costs over a bare loop: the same network, views, loss, optimiser and batch, written by hand.

kptk's SimCLR by `model.fit`, against a `tf.function` with a `GradientTape` that calls the same layers and the same
`nt_xent`. One process, in-memory uint8 images, one call of three epochs each a round in turning order; tracing is left
out. Each round, the bare loop also runs a second time: how far two equal runs differ is the noise of the machine.

    python benchmarks/speed/step_overhead.py [--network NAME ...] [--rounds N] [--scale N]

The bare loop runs the layers as Keras does; `fit` trains batch normalisation by TensorFlow's fused kernel
(`kptk.training.batch_norm`), which is part of what a user gets, so a network with batch normalisation may come out below 1.

Every call of `fit` also costs a fixed time, whatever it trains, which short epochs show: compare --scale 1. On a machine
with other work going on, trust the processor time of the whole process more than the wall time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from drive import interleaved, machine, ratios, spread, table
from keras import ops

import kptk
from kptk_contrastive.simclr import nt_xent

TARGET = 1.03
EPOCHS = 3
NETWORKS = {
    "example_cnn": ("example_cnn", (28, 28, 1), {}, 256, 15),
    "resnet18, width 16": ("resnet18", (32, 32, 3), {"width": 16}, 32, 10),
}
"""Backbone, input shape, options, batch and steps an epoch."""


def simclr(network: str) -> tuple[keras.Model, keras.Model]:
    """A SimCLR of its own with the same weights each time, and its optimiser."""
    keras.utils.set_random_seed(0)
    name, shape, options, *_ = NETWORKS[network]
    backbone = kptk.backbone(name, input_shape=shape, **options)
    return kptk.objective("contrastive", backbone=backbone, temperature=0.5), keras.optimizers.AdamW(1e-3)


def by_fit(network: str, images: np.ndarray) -> Callable[[], tuple[float, float]]:
    """A few epochs of `model.fit`."""
    batch = NETWORKS[network][3]
    model, optimizer = simclr(network)
    model.compile(optimizer=optimizer)
    model.fit(images[: 2 * batch], batch_size=batch, verbose=0)

    def train() -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        history = model.fit(images, batch_size=batch, epochs=EPOCHS, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        return time.perf_counter() - start, time.process_time() - busy

    return train


def by_hand(network: str, images: np.ndarray) -> Callable[[], tuple[float, float]]:
    """As many epochs of the bare loop."""
    batch = NETWORKS[network][3]
    parts, optimizer = simclr(network)
    backbone, projector, views = parts.backbone, parts.projector, parts.views
    weights = [*backbone.trainable_variables, *projector.trainable_variables]
    optimizer.build(weights)
    rng = np.random.default_rng(0)

    @tf.function
    def step(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            both = ops.concatenate(views(x), axis=0)
            z = projector(backbone(both, training=True), training=True)
            loss = nt_xent(*ops.split(z, 2, axis=0), 0.5)
        optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        return loss

    def train() -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(EPOCHS):
            order, total = rng.permutation(len(images)), 0.0
            for place in range(0, len(images), batch):
                total += step(images[order[place : place + batch]])
            assert np.isfinite(float(total))
        return time.perf_counter() - start, time.process_time() - busy

    step(images[:batch])
    return train


def main() -> None:
    """Compare both loops on each network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=int, default=2, help="lengthens the epochs")
    args = parser.parse_args()
    print(machine())
    rows = []
    for network in args.network:
        _, shape, _, batch, steps = NETWORKS[network]
        steps *= args.scale
        images = np.random.default_rng(0).integers(0, 256, (batch * steps, *shape), dtype=np.uint8)
        sides = [by_fit(network, images), by_hand(network, images), by_hand(network, images)]
        interleaved(sides, 1)
        measured = interleaved(sides, args.rounds)
        for what, index in (("wall", 0), ("CPU", 1)):
            fit, bare, again = ([took[index] for took in side] for side in measured)
            rows.append(
                [
                    f"{network}, batch {batch}, {EPOCHS} x {steps} steps",
                    what,
                    f"{statistics.median(bare) / steps / EPOCHS * 1000:.1f}",
                    f"{statistics.median(fit) / steps / EPOCHS * 1000:.1f}",
                    spread(ratios(fit, bare), 3),
                    f"{statistics.median(fit) / statistics.median(bare):.3f}",
                    f"{min(fit) / min(bare):.3f}",
                    spread(ratios(again, bare), 3),
                ]
            )
    columns = ["network", "time", "bare ms/step", "fit ms/step", "fit / bare (range)", "of medians", "of fastest"]
    columns.append("bare / bare (range)")
    table(f"model.fit against a bare loop, {args.rounds} rounds; target {TARGET}", columns, rows)


if __name__ == "__main__":
    main()
