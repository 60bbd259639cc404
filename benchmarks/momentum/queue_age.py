"""How old may the keys of a momentum queue be? The recipe `momentum` with other queues and teachers.

    python benchmarks/momentum/queue_age.py --out runs/queue_age

Batches of 128 and 5 epochs on `mnist10k`; otherwise the recipe. Prints for every queue and share of the teacher that stays
a step: the age of the oldest key in steps over the teacher's memory of 1 / (1 - momentum) steps, the effective rank of the
features and the accuracy of nearest neighbours on the data's own test part, each for every seed. A finished run is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import kptk
from kptk.training import backend

backend.import_keras()

BATCH, EPOCHS = 128, 5
CASES = [(512, 0.95), (1024, 0.95), (2048, 0.95), (2048, 0.98), (2048, 0.99), (512, 0.99)]


def summary(out: Path, queue: int, momentum: float, seed: int) -> dict:
    """What a run says in the end; the run is made unless it is there."""
    folder = out / f"{queue}-{momentum}-{seed}"
    if not (folder / "summary.json").exists():
        options = {"objective.queue_size": queue, "objective.momentum": momentum}
        kptk.train("momentum", out=folder, seed=seed, epochs=EPOCHS, batch_size=BATCH, options=options)
    return json.loads((folder / "summary.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/queue_age"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    lines = [
        "| keys | momentum | age / memory | effective rank | kNN accuracy, % |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for queue, momentum in CASES:
        found = [summary(options.out, queue, momentum, seed) for seed in range(options.seeds)]
        ranks = ", ".join(f"{one['effective_rank']:.1f}" for one in found)
        accuracies = ", ".join(f"{100 * one['knn_accuracy']:.1f}" for one in found)
        age = queue / BATCH * (1 - momentum)
        lines.append(f"| {queue:,} | {momentum} | {age:.2f} | {ranks} | {accuracies} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
