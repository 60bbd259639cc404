"""Measures one candidate of a plan in a process of its own, so that its memory is its own. Started by `measuring`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Measure a candidate.

    Args:
        arguments: a file of a run's configuration, batch sizes with commas, steps to time.

    Returns:
        The exit code; a JSON document goes to the standard output.
    """
    began = time.perf_counter()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        result = _measure(Path(arguments[0]), [int(word) for word in arguments[1].split(",")], int(arguments[2]), began)
    except Exception as error:
        import traceback

        traceback.print_exc()
        result = {"error": str(error) or repr(error)}
    out.write(json.dumps(result) + "\n")
    out.flush()
    return 0


def _measure(path: Path, sizes: list[int], steps: int, began: float) -> dict[str, Any]:
    from dataclasses import replace

    from kptk.config import Part, resolve
    from kptk.plugins import Plugins
    from kptk.request import from_toml
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.environment import peak_memory
    from kptk.training.flops import forward_flops
    from kptk.training.plan import MEASURED_STEPS, measure
    from kptk.training.run import Run
    from kptk.training.watching import health_callback

    plugins = Plugins()
    config = resolve(plugins, from_toml(path))
    points: list[dict[str, float]] = []
    fixed = 0.0
    for size in sorted(sizes):  # memory is the largest so far, so the smallest batch comes first
        config = replace(config, train=Part(None, {**config.train.values, "batch_size": size}))
        run = Run(config, plugins)
        plan = measure(run.model, run.source, run.train, run.sizes, labels=run.labels, steps=steps)
        if not points:
            # A run measures a few steps, too, before it begins.
            fixed = time.perf_counter() - began - (steps - MEASURED_STEPS) * plan.step_seconds
        checks: list[Any] = [health_callback(run), *run.probe_callbacks()]
        times = []
        for _ in range(2):  # the first one compiles
            start = time.perf_counter()
            for check in checks:
                check.set_model(run.model)
                check.on_epoch_end(0, {})
            times.append(time.perf_counter() - start)
        if not points:
            fixed += times[0] - times[1]
        points.append(
            {
                "batch_size": size,
                "step_seconds": plan.step_seconds,
                "cpu_seconds": plan.cpu_seconds,
                "peak_mb": peak_memory() / 2**20,
                "epoch_seconds": times[-1],
            }
        )
    shape = tuple(run.model.backbone.input_shape[1:])
    return {
        "points": points,
        "fixed_seconds": fixed + _finish_seconds(run),
        "rows": len(run.source),
        "parameters": run.sizes[0],
        "trained": run.sizes[1],
        "flops": forward_flops(run.model.backbone, shape) if all(shape) else 0,
        "views": config.views,
        "side": shape[0] if len(shape) == 3 else 0,
    }


def _finish_seconds(run: Any) -> float:
    """How long it takes to judge, save and report, which every run does once."""
    import tempfile

    from kptk.runfolder import RunFolder
    from kptk.spellings import to_toml
    from kptk.training import environment
    from kptk.training.finish import finish

    with tempfile.TemporaryDirectory(prefix="kptk-plan-") as place:
        start = time.perf_counter()
        described = environment.describe(run.config, run.raw_source, run.source.fingerprint(), "")
        finish(run, RunFolder.create(Path(place) / "run", to_toml(run.config), described), float("nan"))
        return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
