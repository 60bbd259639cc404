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
from kptk.config import Part
from kptk.data import Source
from kptk.errors import InputError, RunError
from kptk.plugins import Plugins
from kptk.training import backend
from kptk.training.assemble import build_model
from kptk.training.compare.other import open_other
from kptk.training.compare.seat import Seat
from kptk.training.environment import peak_memory
from kptk.training.experiment import Draw
from kptk.training.feeding import steady
from kptk.training.health import effective_rank, feature_spread
from kptk.training.optimizer import make_optimizer
from kptk.training.plan import measure, sizes
from kptk.training.prepared import training_rows
from kptk.training.stream import batches

HEALTH_ROWS = 512
EPOCHS = 10


class Teaching:
    """Pre-trains backbones as one arm says.

    Args:
        config: the comparison.
        arm: what to pre-train by.
        seat: the data of one seed as this arm's network takes it.
        plugins: the registry.
        steps: steps of the whole budget.
    """

    def __init__(self, config: ComparisonConfig, arm: ArmConfig, seat: Seat, plugins: Plugins, steps: int) -> None:
        self.config = config
        self.arm = arm
        self.seat = seat
        self.plugins = plugins
        self.steps = max(round(steps * arm.share), 1)

    def __call__(self, backbone: keras.Model, data: Draw) -> dict[str, float]:
        """Teach a backbone on the pool of a draw, or wherever the arm says; in place.

        Args:
            backbone: with the initial weights of the draw's seed.
            data: the draw; its test rows are never looked at.

        Returns:
            Facts: costs, and the health of the features.

        Raises:
            RunError: if the loss is not a number any more.
        """
        if not self.arm.pretrain:  # a finished run is taken as it is
            return {"steps": 0, "seconds": 0.0, "parameters": count(backbone)}
        wall, processor, done, loss, trained = 0.0, 0.0, 0, float("nan"), 0
        parts = len(self.arm.pretrain)
        model: Any = None
        for index, where in enumerate(self.arm.pretrain):
            source = self.source(where)
            model, plan = self._model(source, backbone, self.steps * (index + 1) // parts - self.steps * index // parts)
            trained = max(trained, sizes(model)[1])
            began, cpu = time.perf_counter(), time.process_time()
            loss = self._fit(model, source, plan)
            wall, processor = wall + time.perf_counter() - began, processor + time.process_time() - cpu
            done += plan[0] * plan[1]
            if not np.isfinite(loss):
                raise RunError(
                    f"the loss of {self.arm.name} is not a number after {done:,} steps. "
                    f"Try a smaller learning rate: -o {self.arm.name}:train.learning_rate=1e-4"
                )
        return {
            "steps": done,
            "seconds": round(wall, 2),
            "cpu_seconds": round(processor, 2),
            "parameters": count(backbone),
            "trained": trained,
            "peak_mb": round(peak_memory() / 2**20, 1),
            "loss": round(loss, 4),
            **_health(model, data),
        }

    def source(self, where: str) -> Source:
        """The rows of one part of the pre-training.

        Args:
            where: ``"own"`` for the pool of the draw, ``"source"`` for the other data.

        Raises:
            InputError: if it has fewer rows than a batch, rows of another shape, or no labels where they are needed.
        """
        pool, fitted = self.seat.pool, self.seat.fitted
        source = pool
        if where != OWN:
            shape = None if fitted is not None else pool.row_shape
            source = open_other(self.config, self.plugins, pool, shape)
            if self.arm.sees_labels and source.labels is None:
                raise InputError(
                    f"{source.describe()}: the arm {self.arm.name} learns from labels, and there are none."
                )
        batch = self.arm.train.values["batch_size"]
        if fitted is not None:
            return training_rows(fitted, source, batch)
        if len(source) < batch:
            raise InputError(
                f"{source.describe()}: fewer rows than one batch of {batch:,}. Use a smaller --batch-size."
            )
        return source

    def step_seconds(self) -> float:
        """Measured time of a step, the mean over the parts of the pre-training."""
        times = []
        for where in self.arm.pretrain:
            source = self.source(where)
            model, _ = self._model(source, None, 1000)
            model.optimizer.build(model.trainable_variables)
            train = {**self.arm.train.values, "epochs": 1, "seed": self.seat.seed}
            times.append(measure(model, source, train, sizes(model), labels=self.arm.sees_labels).step_seconds)
        return float(np.mean(times))

    def _model(self, source: Source, backbone: keras.Model | None, steps: int) -> tuple[Any, tuple[int, int]]:
        """The compiled pretrainer, and how its steps are cut: epochs, which only say how often a stage can change."""
        if self.arm.train.values["deterministic"]:
            backend.make_deterministic()
        keras.utils.set_random_seed(self.seat.seed)
        run = self.arm.run_config(self.config.data)
        run = replace(run, train=Part(None, {**run.train.values, "seed": self.seat.seed}))
        views = "new" if self.seat.fitted is None else self.seat.copy()
        model = build_model(run, source, backbone, views)
        epochs = min(EPOCHS, steps) if model.stages == 1 else model.stages
        per_epoch = max(steps // epochs, 1)
        model.set_total_steps(epochs * per_epoch)
        model.compile(optimizer=make_optimizer(self.arm.train.values, epochs * per_epoch // model.stages))
        return model, (epochs, per_epoch)

    def _fit(self, model: Any, source: Source, plan: tuple[int, int]) -> float:
        epochs, per_epoch = plan
        batch = self.arm.train.values["batch_size"]
        stream = batches(source, batch, self.seat.seed, 0, epochs * per_epoch, labels=self.arm.sees_labels)
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


def count(network: keras.Model) -> int:
    """How many numbers of a network can be trained.

    Args:
        network: such as a backbone.
    """
    return int(sum(np.prod(variable.shape) for variable in network.trainable_weights))


def _health(model: Any, data: Draw) -> dict[str, float]:
    rows = data.pool[:HEALTH_ROWS]
    plain = model.views.plain(rows) if model.views is not None else rows
    features = np.asarray(keras.ops.convert_to_numpy(model.encode(plain)), "float32")
    return {"rank": round(effective_rank(features), 2), "spread": round(feature_spread(features), 3)}
