"""How an arm of a comparison is pre-trained: what `kptk train` does, for a number of steps, and what that costs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptk.comparing.config import OWN, ArmConfig, ComparisonConfig
from kptk.data import ArraySource, Source
from kptk.errors import InputError, RunError
from kptk.plugins import Plugins
from kptk.training import backend
from kptk.training.assemble import build_model, open_like
from kptk.training.compare.table import Table
from kptk.training.environment import peak_memory
from kptk.training.experiment import Draw
from kptk.training.feeding import steady
from kptk.training.health import effective_rank, feature_spread
from kptk.training.optimizer import make_optimizer
from kptk.training.plan import measure, sizes
from kptk.training.stream import batches

HEALTH_ROWS = 512


class Teaching:
    """Pre-trains backbones as one arm says.

    Args:
        config: the comparison.
        arm: what to pre-train by.
        table: the comparison's data.
        plugins: the registry.
        steps: steps of the whole budget.
    """

    def __init__(self, config: ComparisonConfig, arm: ArmConfig, table: Table, plugins: Plugins, steps: int) -> None:
        self.config = config
        self.arm = arm
        self.table = table
        self.plugins = plugins
        self.steps = max(round(steps * arm.share), 1)

    def __call__(self, backbone: keras.Model, data: Draw) -> dict[str, float]:
        """Teach a backbone on the pool of a draw, or wherever the arm says; in place.

        Args:
            backbone: with the initial weights of the draw's seed.
            data: the draw; its test rows are never looked at.

        Returns:
            Facts: costs, and the health of the features.
        """
        if not self.arm.pretrain:  # a finished run is taken as it is
            return {"steps": 0, "seconds": 0.0, "cpu_seconds": 0.0, **_sizes(backbone, backbone)}
        wall, processor, done, loss, trained = 0.0, 0.0, 0, float("nan"), 0
        parts = len(self.arm.pretrain)
        model = None
        for index, where in enumerate(self.arm.pretrain):
            steps = self.steps * (index + 1) // parts - self.steps * index // parts
            source = self.source(where, data)
            model = self._model(source, backbone, data.seed, steps)
            trained = max(trained, sizes(model)[1])
            began, cpu = time.perf_counter(), time.process_time()
            loss = self._fit(model, source, data.seed, steps)
            wall, processor = wall + time.perf_counter() - began, processor + time.process_time() - cpu
            done += steps
            if not np.isfinite(loss):
                raise RunError(
                    f"the loss of {self.arm.name} is not a number after {done:,} steps. "
                    f"Try a smaller learning rate: -o {self.arm.name}:train.learning_rate=1e-4"
                )
        return {
            "steps": done,
            "seconds": round(wall, 2),
            "cpu_seconds": round(processor, 2),
            "parameters": sizes(model)[0],
            "trained": trained,
            "peak_mb": round(peak_memory() / 2**20, 1),
            "loss": round(loss, 4),
            **_health(model, data),
        }

    def source(self, where: str, data: Draw) -> Source:
        """The rows of one part of the pre-training.

        Args:
            where: ``"own"`` for the pool of the draw, ``"source"`` for the other data.
            data: the draw.

        Raises:
            InputError: if it has fewer rows than a batch, or rows of another shape.
        """
        if where == OWN:
            labels = data.pool_y if self.arm.sees_labels else None
            names = self.table.class_names if self.arm.sees_labels else ()
            made: Source = ArraySource(data.pool, labels, inputs=self.table.inputs, class_names=names)
        else:
            shape = data.pool.shape[1:]
            size = {"image_size": shape[0], "channels": shape[-1]} if len(shape) == 3 else {}
            made = open_like(self.plugins, self.config.source, shape, size)
            if self.arm.sees_labels and made.labels is None:
                raise InputError(f"{made.describe()}: the arm {self.arm.name} learns from labels, and there are none.")
        batch = self.arm.train.values["batch_size"]
        if len(made) < batch:
            raise InputError(f"{made.describe()}: fewer rows than one batch of {batch:,}. Use --batch-size.")
        return made

    def step_seconds(self, data: Draw) -> float:
        """Measured time of a step, the mean over the parts of the pre-training.

        Args:
            data: a draw.
        """
        times = []
        for where in self.arm.pretrain:
            source = self.source(where, data)
            model = self._model(source, None, data.seed, 1000)
            model.optimizer.build(model.trainable_variables)
            train = {**self.arm.train.values, "epochs": 1, "seed": data.seed}
            times.append(measure(model, source, train, sizes(model), labels=self.arm.sees_labels).step_seconds)
        return float(np.mean(times))

    def _model(self, source: Source, backbone: keras.Model | None, seed: int, steps: int) -> Any:
        if self.arm.train.values["deterministic"]:
            backend.make_deterministic()
        keras.utils.set_random_seed(seed)
        run = self.arm.run_config(self.config.data)
        run = replace(run, train=replace(run.train, values={**run.train.values, "seed": seed}))
        model = build_model(run, source, backbone)
        model.set_total_steps(steps)
        if model.stages > 1:
            steps = max(steps // model.stages, 1)
        model.compile(optimizer=make_optimizer(self.arm.train.values, steps))
        return model

    def _fit(self, model: Any, source: Source, seed: int, steps: int) -> float:
        epochs = min(10, steps) if model.stages == 1 else max(min(10, steps), model.stages)
        while steps % epochs:  # every step of the budget is done
            epochs -= 1
        epochs = max(epochs, model.stages)
        batch = self.arm.train.values["batch_size"]
        stream = batches(source, batch, seed, 0, steps, labels=self.arm.sees_labels)
        per_epoch = max(steps // epochs, 1)
        try:
            history = model.fit(steady(stream), steps_per_epoch=per_epoch, epochs=epochs, verbose=0, shuffle=False)
        finally:
            stream.close()  # type: ignore[attr-defined]
        return float(history.history["loss"][-1])


class Kept:
    """A teaching whose result is kept on disk until every cell that needs it is done, so that it is not made twice.

    Args:
        teaching: what to keep the result of.
        path: an ``.npz`` file without its seed.
    """

    def __init__(self, teaching: Teaching, path: Path) -> None:
        self.teaching = teaching
        self.path = path

    def __call__(self, backbone: keras.Model, data: Draw) -> Mapping[str, float]:
        """Take what is kept, or teach and keep it.

        Args:
            backbone: with the initial weights of the draw's seed; changed in place.
            data: the draw.
        """
        if self.path.exists():
            with np.load(self.path, allow_pickle=False) as arrays:
                facts: dict[str, float] = json.loads(str(arrays["facts"]))
                backbone.set_weights([arrays[f"w{index}"] for index in range(len(arrays.files) - 1)])
            return facts
        facts = self.teaching(backbone, data)
        weights = {f"w{index}": weight for index, weight in enumerate(backbone.get_weights())}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **weights)
        part.replace(self.path)
        return facts


def _sizes(backbone: keras.Model, model: keras.Model) -> dict[str, float]:
    def count(network: keras.Model) -> int:
        return int(sum(np.prod(variable.shape) for variable in network.trainable_weights))

    return {"parameters": count(backbone), "trained": count(model)}


def _health(model: Any, data: Draw) -> dict[str, float]:
    rows = data.pool[:HEALTH_ROWS]
    plain = model.views.plain(rows) if model.views is not None else rows
    features = np.asarray(keras.ops.convert_to_numpy(model.encode(plain)), "float32")
    return {"rank": round(effective_rank(features), 2), "spread": round(feature_spread(features), 3)}
