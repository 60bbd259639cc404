"""Is a plan right? Predicted against actual wall time and peak memory of whole `kptk train` processes, as ratios.

    python benchmarks/plan/plan_accuracy.py                 # about half an hour on one core
    python benchmarks/plan/plan_accuracy.py --only 2

For each configuration a plan measures a few steps at two batch sizes in a fresh process and predicts a run at a third
one, which was not measured; then the run itself is started in a fresh process, whose wall time and peak memory the
system tells. Exit code 1 if any ratio is off by more than a fifth. Times mean nothing while the machine has other work:
the load is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from kptk.config import Part, resolve
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.spellings import to_toml
from kptk.training.planning.measuring import measure_candidate

CONFIGURATIONS = (
    # objective, backbone, options, measured batches, the batch of the run, epochs
    ("contrastive", "example_cnn", {}, (64, 256), 128, 4),
    ("momentum", "example_cnn", {}, (64, 256), 128, 4),
    ("contrastive", "resnet18", {"backbone.width": 16, "data.limit": 1024}, (32, 128), 64, 3),
    ("byol", "resnet18", {"backbone.width": 8, "data.limit": 2048}, (32, 128), 64, 3),
    ("denoising", "conv_stack", {"data.limit": 4096}, (64, 256), 128, 4),
    ("masked", "vit_tiny", {"data.limit": 2048}, (32, 128), 64, 4),
    ("contrastive", "mlp", {}, (64, 256), 128, 6),
)
BOUND = 0.2


def predict(plugins: Plugins, row: tuple) -> tuple[str, float, float]:
    """The run's configuration, its predicted seconds and peak memory in MB."""
    objective, backbone, options, measured, batch, epochs = row
    request = Request(
        recipe=objective,
        names={"backbone": backbone},
        data="mnist10k",
        settings=tuple(Setting(key, value) for key, value in options.items()),
    )
    config = resolve(plugins, request)
    candidate = measure_candidate(config, measured, growth=False)
    values = {**config.train.values, "batch_size": batch, "epochs": epochs}
    config = replace(config, train=Part(None, values))
    return to_toml(config), candidate.seconds(batch, epochs), candidate.memory_mb(batch)


def actual(toml: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of a `kptk train` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(toml, encoding="utf-8")
        script = (
            "import resource, subprocess, sys\n"
            f"code = subprocess.call([{sys.executable!r}, '-m', 'kptk', 'train', '--config', {str(path)!r},"
            f" '--out', {str(Path(folder) / 'run')!r}, '--quiet'])\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
            "sys.exit(code)"
        )
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return seconds, int(done.stdout.split()[-1]) / scale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, default=len(CONFIGURATIONS), help="so many configurations")
    parser.add_argument("--json", default="", help="write the figures there, too")
    options = parser.parse_args()
    plugins = Plugins()
    print("| objective | backbone | batch | predicted s | actual s | ratio | predicted MB | actual MB | ratio | load |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for row in CONFIGURATIONS[: options.only]:
        toml, seconds, memory = predict(plugins, row)
        load = os.getloadavg()[0]
        real_seconds, real_memory = actual(toml)
        load = max(load, os.getloadavg()[0])
        ratios = seconds / real_seconds, memory / real_memory
        print(
            f"| {row[0]} | {row[1]} | {row[4]} | {seconds:.0f} | {real_seconds:.0f} | {ratios[0]:.2f} | "
            f"{memory:,.0f} | {real_memory:,.0f} | {ratios[1]:.2f} | {load:.1f} |",
            flush=True,
        )
        rows.append({"objective": row[0], "backbone": row[1], "time": ratios[0], "memory": ratios[1], "load": load})
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2), encoding="utf-8")
    good = {key: sum(abs(row[key] - 1) <= BOUND for row in rows) for key in ("time", "memory")}
    print(f"\nwithin 20 %: time {good['time']} of {len(rows)}, memory {good['memory']} of {len(rows)}")
    if max(row["load"] for row in rows) > (os.cpu_count() or 1):
        print("The machine had other work meanwhile: the times mean little.")
    return 0 if all(count == len(rows) for count in good.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
