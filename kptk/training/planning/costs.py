"""How cost grows: straight lines in the batch, powers in size, width and depth, fitted to what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kptk.config import RunConfig


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line ``base + slope * x``, neither of them below 0.

    Args:
        base: at 0.
        slope: for each 1 more.
    """

    base: float
    slope: float

    @classmethod
    def fit(cls, x: Sequence[float], y: Sequence[float]) -> Line:
        """Fit a line by least squares of the relative errors; one point, or one falling, goes through 0 or is level.

        Args:
            x: such as batch sizes.
            y: such as seconds, above 0.

        Example:
            >>> Line.fit([1, 3], [3.0, 7.0])
            Line(base=1.0, slope=2.0)
        """
        if len(x) < 2:
            return cls(0.0, y[0] / x[0])
        weights = 1 / np.asarray(y, float)
        system = np.stack([np.ones(len(x)), np.asarray(x, float)], axis=1) * weights[:, None]
        (base, slope), *_ = np.linalg.lstsq(system, np.ones(len(x)), rcond=None)
        if base < 0:
            return cls(0.0, float(np.mean([b / a for a, b in zip(x, y, strict=True)])))
        if slope < 0:
            return cls(float(np.mean(y)), 0.0)
        return cls(round(float(base), 12), round(float(slope), 12))

    def at(self, x: float) -> float:
        """The value at a place.

        Args:
            x: the place.
        """
        return self.base + self.slope * x


def power(before: float, after: float, factor: float) -> float:
    """The exponent with which a cost grows: 2 if it becomes four times as much at twice the size.

    Args:
        before: cost.
        after: cost at `factor` times the size.
        factor: above 0 and not 1.

    Example:
        >>> round(power(1.0, 4.0, 2.0), 2)
        2.0
    """
    return math.log(max(after, 1e-9) / max(before, 1e-9)) / math.log(factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One objective on one backbone, measured.

    Args:
        objective: its id.
        backbone: its id.
        config: the configuration of the run.
        rows: rows of the data, as the model is trained on them.
        parameters: trainable numbers of the backbone.
        trained: trainable numbers in all.
        flops: operations of one example's forward pass through the backbone.
        views: views of each example in a step.
        fixed_seconds: of a run's process without its epochs: start, compiling, measuring, saving, report.
        points: what was measured: batch size, step time, memory, time of the checks after an epoch.
        growth: exponents of the step's processor time in an option, such as ``{"preprocessor.size": 1.9}``.
    """

    objective: str
    backbone: str
    config: RunConfig
    rows: int
    parameters: int
    trained: int
    flops: int
    views: int
    fixed_seconds: float
    points: Sequence[Mapping[str, float]]
    growth: Mapping[str, float] = field(default_factory=dict)

    def _line(self, key: str) -> Line:
        return Line.fit([p["batch_size"] for p in self.points], [p[key] for p in self.points])

    def step_seconds(self, batch_size: int) -> float:
        """Predicted time of a step.

        Args:
            batch_size: examples a step.
        """
        return self._line("step_seconds").at(batch_size)

    def memory_mb(self, batch_size: int) -> float:
        """Predicted peak memory of the process, in MB.

        Args:
            batch_size: examples a step.
        """
        return self._line("peak_mb").at(batch_size)

    def seconds(self, batch_size: int, epochs: int) -> float:
        """Predicted time of a run: from the start of its process to the report.

        Args:
            batch_size: examples a step.
            epochs: passes over the data.
        """
        return self.fixed_seconds + epochs * self.epoch_seconds(batch_size)

    def epoch_seconds(self, batch_size: int) -> float:
        """Predicted time of an epoch.

        Args:
            batch_size: examples a step.
        """
        steps = self.rows // batch_size
        return steps * self.step_seconds(batch_size) + float(np.median([p["epoch_seconds"] for p in self.points]))

    def epochs_within(self, batch_size: int, seconds: float) -> int:
        """How many epochs fit into a time.

        Args:
            batch_size: examples a step.
            seconds: the time.
        """
        left = seconds - self.fixed_seconds
        return max(int(left / self.epoch_seconds(batch_size)), 0)

    def row(self, batch_size: int, epochs: int) -> dict[str, Any]:
        """Its line of a plan's table.

        Args:
            batch_size: examples a step.
            epochs: passes over the data.
        """
        step = self.step_seconds(batch_size)
        return {
            "objective": self.objective,
            "backbone": self.backbone,
            "batch_size": batch_size,
            "parameters": self.parameters,
            "trained": self.trained,
            "gflops": round(self.flops / 1e9, 4),
            "peak_mb": round(self.memory_mb(batch_size), 1),
            "step_ms": round(1000 * step, 2),
            "samples_per_second": round(batch_size / step, 1),
            "epochs": epochs,
            "seconds": round(self.seconds(batch_size, epochs), 1),
            "fixed_seconds": round(self.fixed_seconds, 1),
            "growth": dict(self.growth),
            "measured": [dict(point) for point in self.points],
        }
