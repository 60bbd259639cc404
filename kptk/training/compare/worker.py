"""One group of cells in a process of its own: the arms that share one pre-training, of one seed.

Started by `kptk.training.compare.runner`. Lines of JSON go to the standard output; what libraries print goes to the error
stream. When the parent is gone, so is this process: it watches its standard input, which then ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from kptk.comparing.config import ArmConfig, ComparisonConfig
    from kptk.training.arms import Bench, Pretrained
    from kptk.training.compare.seat import Seat
    from kptk.training.experiment import Arm, Draw, Outcome


def main(arguments: list[str]) -> int:
    """Run a group.

    Args:
        arguments: the comparison's folder, and the task as JSON: ``{"arms", "seed", "cells", "steps", "kept"}``.

    Returns:
        The exit code.
    """
    threading.Thread(target=die_with_parent, daemon=True).start()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # only our lines go to the parent
    try:
        folder, task = Path(arguments[0]), json.loads(arguments[1])
        _work(folder, task, out)
    except Exception as error:
        traceback.print_exc()
        _say(out, {"error": str(error) or repr(error), "kind": type(error).__name__})
        return 1
    return 0


def die_with_parent() -> None:
    """End this process as soon as its standard input ends, which is when the parent is gone."""
    while os.read(0, 1024):  # not sys.stdin, whose lock would be missed when the interpreter ends
        pass
    os._exit(3)


def _say(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()


def _work(folder: Path, task: dict[str, Any], out: TextIO) -> None:
    from kptk.comparing import read_comparison
    from kptk.plugins import Plugins
    from kptk.registry import COMPARISON
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.compare.seat import Seat
    from kptk.training.compare.table import open_table
    from kptk.training.compare.teaching import Kept, Teaching

    plugins = Plugins()
    config = read_comparison(plugins, folder / COMPARISON)
    by_name = {arm.name: arm for arm in config.arms}
    arms = [by_name[name] for name in task["arms"]]
    seat = Seat(config, arms[0], open_table(config), task["seed"])
    teaching = Teaching(config, arms[0], seat, plugins, task["steps"] or 1)
    if task["cells"] is None:  # only how long a step takes is asked for
        _say(out, {"step_seconds": _step_seconds(teaching, seat, config)})
        return
    wanted = {(arm, labels) for arm, labels in task["cells"]}
    made = _cells(config, arms, seat, Kept(teaching, Path(task["kept"])), task["steps"], plugins)
    for labels in config.labels:
        if not any((name, labels) in wanted for name in made):
            continue
        data = seat.draw(labels)
        for name, arm in made.items():
            if (name, labels) in wanted:
                outcome = arm(data)
                _say(out, {"cell": {"arm": name, "labels_per_class": labels, "seed": data.seed, **asdict(outcome)}})


def _cells(
    config: ComparisonConfig, arms: list[ArmConfig], seat: Seat, teach: Any, steps: int, plugins: Any
) -> dict[str, Arm]:
    """Every way of every arm of the group, by the name of its cells."""
    from kptk.training.arms import Bench, Pretrained, Setup
    from kptk.training.compare.strategies import strategy_outcome
    from kptk.training.compare.summary import cell_name

    layer = seat.preprocessor()
    rates = config.rates("scratch_rates") if arms[0].scratch else config.rates()
    setup = Setup(
        build=seat.backbone,
        preprocessor=layer,
        pretrain_steps=steps,
        finetune_steps=config.values["finetune_steps"],
        classes=len(seat.table.class_names),
        rates=rates,
        raw=seat.raw_features if seat.fitted is not None else None,
    )
    bench = Bench(setup)
    made: dict[str, Arm] = {}
    weights = Pretrained(bench, teach)
    for arm in arms:
        if arm.scratch:
            made |= {cell_name(arm.name, way): _timed(act, bench, way) for way, act in bench.controls().items()}
            continue
        transfers = bench.transfers(teach, weights=weights)
        for way in arm.ways:
            name = cell_name(arm.name, way)
            if way in transfers:
                made[name] = _with_tuning_time(transfers[way], weights)
                continue

            def by_strategy(data: Draw, way: str = way) -> Outcome:
                outcome = strategy_outcome(
                    seat,
                    plugins,
                    way,
                    weights.of(data),
                    data,
                    rates=rates,
                    steps=setup.finetune_steps,
                    class_names=seat.table.class_names,
                )
                return replace(outcome, facts=weights.facts)

            made[name] = _with_tuning_time(by_strategy, weights)
    return made


def _with_tuning_time(arm: Arm, weights: Pretrained) -> Arm:
    """Add what using the labels took, with the choice of a learning rate; pre-training comes before and is not in it."""

    def run(data: Draw) -> Outcome:
        weights.of(data)
        began = time.perf_counter()
        outcome = arm(data)
        return replace(outcome, facts={**outcome.facts, "tuning_seconds": round(time.perf_counter() - began, 2)})

    return run


def _timed(arm: Arm, bench: Bench, way: str) -> Callable[[Draw], Outcome]:
    """Add what training from scratch costs."""
    from kptk.training.arms import SCRATCH
    from kptk.training.compare.teaching import count
    from kptk.training.environment import peak_memory

    setup = bench.setup
    steps = {"scratch": setup.finetune_steps}.get(way, setup.finetune_steps + setup.pretrain_steps)

    def run(data: Draw) -> Outcome:
        began = time.perf_counter()
        outcome = arm(data)
        seconds = (time.perf_counter() - began) / (len(setup.rates) if way in SCRATCH else 1)
        facts = {"seconds": round(seconds, 2), "parameters": count(bench.plain.model.backbone)}
        if way in SCRATCH:
            facts |= {"steps": steps, "peak_mb": round(peak_memory() / 2**20, 1)}
        return replace(outcome, facts=facts)

    return run


def _step_seconds(teaching: Any, seat: Seat, config: ComparisonConfig) -> float:
    """Measured time of a step of the group's longest part."""
    if teaching.arm.pretrain:
        measured: float = teaching.step_seconds()
        return measured
    from kptk.training.arms import Bench, Setup

    data = seat.draw(config.labels[0])
    setup = Setup(
        build=seat.backbone,
        preprocessor=seat.preprocessor(),
        pretrain_steps=1,
        finetune_steps=1,
        classes=len(seat.table.class_names),
        rates=config.rates()[:1],
    )
    bench = Bench(setup)
    few, many = 5, 55
    times = []
    for steps in (few, few, many):  # the first one compiles
        began = time.perf_counter()
        bench.plain.best(data, lambda: bench.plain.set_backbone(bench.fresh(data)), steps)
        times.append(time.perf_counter() - began)
    return max(times[2] - times[1], 1e-4) / (many - few)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
