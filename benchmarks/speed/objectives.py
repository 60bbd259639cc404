"""The step of every objective: against a bare loop that computes the same, and against lightly where it has the method.

    python benchmarks/speed/objectives.py                         # fit against the bare loop, example CNN
    python benchmarks/speed/objectives.py --peers FOLDER          # and against lightly, ResNet-18 on 32 x 32 images

The bare loop is a `tf.function` with a `GradientTape` around the objective's own forward pass and loss, without `fit`, its
callbacks and its metrics. Against lightly, both sides train on one batch that is kept, with heads of the same widths; FOLDER is
what setup_peers.sh made. lightly's MAE needs timm, which is not among the peers here, and is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from drive import HERE, Worker, interleaved, machine, ratios, spread, table

import kptk

BATCH, STEPS, SHAPE = 128, 40, (28, 28, 1)
VIT = ("vit_tiny", {"patch": 7, "depth": 2, "width": 64, "heads": 4})
CNN = ("example_cnn", {})
OBJECTIVES: dict[str, tuple[tuple[str, dict[str, Any]], dict[str, Any]]] = {
    name: (CNN, {})
    for name in (
        *(
            "contrastive",
            "momentum",
            "moco_v3",
            "byol",
            "simsiam",
            "barlow_twins",
            "vicreg",
            "dino",
            "adversarial",
            "vat",
        ),
        *("simmim", "position", "autoencoder", "denoising", "sparse", "variational", "super_resolution"),
    )
} | {"simultaneous": (CNN, {"views": 4}), "masked": (VIT, {})}
"""Backbone and options of each; those that need labels or a teacher are left out."""

PEERS: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "momentum": {"hidden_dim": 512, "projection_dim": 128, "queue_size": 4096},
    "byol": {"hidden_dim": 1024, "projection_dim": 256},
    "simsiam": {"hidden_dim": 512, "projection_dim": 128, "predictor_dim": 64},
    "barlow_twins": {"hidden_dim": 2048, "projection_dim": 2048},
    "vicreg": {"hidden_dim": 2048, "projection_dim": 2048},
    "dino": {"hidden_dim": 512, "bottleneck_dim": 64, "prototypes": 2048},
}
"""Options that give our heads the widths of lightly's pages."""

Timed = Callable[[], tuple[float, float]]


def build(name: str) -> keras.Model:
    """The objective with weights of its own, the same each time."""
    keras.utils.set_random_seed(0)
    (backbone, settings), options = OBJECTIVES[name]
    return kptk.objective(name, backbone=kptk.backbone(backbone, input_shape=SHAPE, **settings), **options)


def by_fit(name: str, images: np.ndarray) -> Timed:
    """One epoch of `model.fit`."""
    model = build(name)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3))
    model.fit(images[: 2 * BATCH], batch_size=BATCH, verbose=0)

    def train() -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        model.fit(images, batch_size=BATCH, epochs=2, verbose=0)
        return time.perf_counter() - start, time.process_time() - busy

    return train


def by_hand(name: str, images: np.ndarray) -> Timed:
    """As many steps in a bare loop."""
    model = build(name)
    optimizer = keras.optimizers.AdamW(1e-3)
    model.compile(optimizer=optimizer)  # what the loss needs to be told of its compilation, no more
    weights = model.trainable_variables
    optimizer.build(weights)
    rng = np.random.default_rng(0)

    @tf.function
    def step(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=None, y_pred=model(x, training=True), training=True)
        optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        return loss

    def train() -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(2):
            order, total = rng.permutation(len(images)), 0.0
            for place in range(0, len(images), BATCH):
                total += step(images[order[place : place + BATCH]])
            assert np.isfinite(float(total))
        return time.perf_counter() - start, time.process_time() - busy

    step(images[:BATCH])
    return train


def against_bare_loop(names: list[str], rounds: int) -> None:
    """One row an objective."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH * STEPS, *SHAPE), dtype=np.uint8)
    rows = []
    for name in names:
        sides = [by_fit(name, images), by_hand(name, images)]
        interleaved(sides, 1)
        fit, bare = interleaved(sides, rounds)
        wall, busy = [ratios([f[i] for f in fit], [b[i] for b in bare]) for i in (0, 1)]
        cost = 1000 * statistics.median(f[1] for f in fit) / len(images) / 2
        rows.append([name, f"{cost:.3f}", spread(wall, 3), spread(busy, 3)])
        keras.backend.clear_session()
    title = f"fit against a bare loop, batch {BATCH}, {rounds} rounds of {2 * STEPS} steps; medians (ranges)"
    table(title, ["objective", "CPU ms an image", "wall, fit / bare", "CPU, fit / bare"], rows)


def against_lightly(names: list[str], args: argparse.Namespace) -> None:
    """One row a method."""
    common = ["--stem", args.stem, "--batch", str(BATCH), "--images", str(args.images)]
    rows = []
    for name in names:
        theirs = [
            str(Path(args.peers).absolute() / "bin/python"),
            str(HERE / "lightly_objectives_worker.py"),
            name,
            *common,
        ]
        ours = [sys.executable, str(HERE / "kptk_worker.py"), "train", *common]
        ours += ["--objective", name, "--options", json.dumps(PEERS[name])]
        workers = [Worker("lightly", theirs), Worker("kptk", ours)]
        answers = interleaved([worker.round for worker in workers], args.rounds)
        peer, own = ([answer["images"] / answer["seconds"] for answer in side] for side in answers)
        sizes = [f"{worker.facts['parameters']:,}" for worker in workers]
        rows.append([name, *sizes, spread(peer, 0), spread(own, 0), spread(ratios(own, peer))])
        print(*rows[-1], flush=True)  # the table comes at the end, perhaps half an hour later
        for worker in workers:
            worker.close()
    title = f"training alone, ResNet-18 with the {args.stem} stem, {args.rounds} rounds of {args.images} images"
    columns = ["method", "lightly's weights", "our weights", "lightly, images/s", "kptk, images/s", "ratio (range)"]
    table(title, columns, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", help="the peers' environment; empty: only the bare loop")
    parser.add_argument("--only-peers", action="store_true", help="leave the bare loop out")
    parser.add_argument("--objectives", nargs="*", default=list(OBJECTIVES), choices=list(OBJECTIVES))
    parser.add_argument("--stem", default="imagenet", choices=["imagenet", "small"])
    parser.add_argument("--images", type=int, default=512, help="images a round against lightly")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(machine())
    if not args.only_peers:
        against_bare_loop(args.objectives, args.rounds)
    if args.peers:
        against_lightly([name for name in args.objectives if name in PEERS], args)


if __name__ == "__main__":
    main()
