"""Our side of a comparison: an objective by `model.fit`, or views alone; answers `drive.Worker`.

The views are those of the peer: crop from 8 % of the area, flip, colour jitter of strength 1, grey, blur.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

import kptk
from kptk.training.preprocessor import Preprocessor

VIEWS = {"crop": 0.08, "flip": 0.5, "jitter": 1.0, "grey": 0.2, "blur": 0.5}


class Given(Preprocessor):
    """No work: every view is the input. What a step costs without augmentation."""

    def call(self, inputs: Any) -> tuple[Any, ...]:
        x = ops.cast(inputs, "float32") / 255.0
        return (x,) * self.views

    def plain(self, inputs: Any) -> Any:
        return ops.cast(inputs, "float32") / 255.0


def training(args: argparse.Namespace, images: np.ndarray) -> tuple[Callable[[], None], dict[str, Any]]:
    """`model.fit` on the images, one epoch a round."""
    backbone = kptk.backbone("resnet18", input_shape=images.shape[1:], stem=args.stem)
    views = Given(views=2) if args.mode == "train" else kptk.preprocessor("image_views", views=2, **VIEWS)
    options = {"hidden_dim": 512, "temperature": 0.5} if args.objective == "contrastive" else json.loads(args.options)
    model = kptk.objective(args.objective, backbone=backbone, views=views, **options)
    model.compile(optimizer=keras.optimizers.SGD(0.06), jit_compile=args.jit)
    model.fit(images[: 2 * args.batch], batch_size=args.batch, verbose=0)

    def work() -> None:
        model.fit(images, batch_size=args.batch, verbose=0)

    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return work, {"parameters": parameters}


def views_alone(args: argparse.Namespace, images: np.ndarray) -> tuple[Callable[[], None], dict[str, Any]]:
    """Two views of every image, batch after batch."""
    layer = kptk.preprocessor("image_views", views=2, **VIEWS)
    call = layer.__call__
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        call = tf.function(layer, jit_compile=args.jit)
    elif keras.backend.backend() == "jax":
        import jax

        def stateless(seed: Any, batch: Any) -> tuple[Any, Any]:
            with keras.StatelessScope(state_mapping=[(layer.seed_generator.state, seed)]) as scope:
                made = layer(batch)
            return made, scope.get_current_value(layer.seed_generator.state)

        compiled = jax.jit(stateless)

        def call(batch: Any) -> Any:
            made, seed = compiled(layer.seed_generator.state.value, batch)
            layer.seed_generator.state.assign(seed)
            return made

    def work() -> None:
        for start in range(0, len(images), args.batch):
            first, second = call(images[start : start + args.batch])
        float(first[0, 0, 0, 0]), float(second[0, 0, 0, 0])  # wait for the last one

    work()
    return work, {}


def cpu_seconds() -> float:
    """Processor time of this process and of the children that it keeps, such as a loader's workers."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path("/proc", child, "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Set up, say so, then work once for each line of input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("fit", "train", "views"))
    parser.add_argument("--stem", default="small")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--objective", default="contrastive")
    parser.add_argument("--options", default="{}", help="of any other objective, as JSON")
    parser.add_argument("--jit", action="store_true")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    work, facts = (views_alone if args.mode == "views" else training)(args, images)
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        start, busy = time.perf_counter(), cpu_seconds()
        work()
        answer = {"seconds": time.perf_counter() - start, "cpu": cpu_seconds() - busy, "images": args.images}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
