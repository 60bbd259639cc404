"""Source images a second of the views alone, two views each: kptk's batch views against lightly's per-image ones.

32 x 32 colour images in memory; crop from 8 % of the area, flip, colour jitter of strength 1, grey and blur on both
sides. lightly runs through its loader with 2 workers and without any. The sides take turns.

    python benchmarks/speed/views.py --peers FOLDER [--jax PYTHON] [--torch PYTHON]
"""

from __future__ import annotations

import argparse
import sys

from drive import HERE, Worker, interleaved, machine, ratios, spread, table


def main() -> None:
    """Start the sides, let them take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", required=True, help="the peers' environment, made by setup_peers.sh")
    parser.add_argument("--torch", help="interpreter of an environment with kptk and PyTorch")
    parser.add_argument("--jax", help="interpreter of an environment with kptk and JAX")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(machine())
    common = ["views", "--batch", str(args.batch), "--images", str(args.images)]
    ours, theirs = str(HERE / "kptk_worker.py"), str(HERE / "lightly_worker.py")
    peer = [f"{args.peers}/bin/python", theirs, *common]
    here = {"KERAS_BACKEND": "tensorflow"}
    workers = [
        Worker("lightly, 2 loader workers", [*peer, "--workers", "2"]),
        Worker("lightly, no workers", [*peer, "--workers", "0"]),
        Worker("kptk, tensorflow", [sys.executable, ours, *common], here),
        Worker("kptk, tensorflow, jit_compile", [sys.executable, ours, *common, "--jit"], here),
    ]
    for backend, python in (("torch", args.torch), ("jax", args.jax)):
        if python:
            workers.append(Worker(f"kptk, {backend}", [python, ours, *common], {"KERAS_BACKEND": backend}))

    def rate(worker: Worker) -> float:
        answer = worker.round()
        return answer["images"] / answer["seconds"]

    results = interleaved([lambda worker=worker: rate(worker) for worker in workers], args.rounds)
    rows = [
        [worker.name, spread(values, 0), spread(ratios(values, results[0]))]
        for worker, values in zip(workers, results, strict=True)
    ]
    for worker in workers:
        worker.close()
    title = f"two views of {args.images} images of 32 x 32 x 3, batch {args.batch}, {args.rounds} rounds"
    table(title, ["side", "source images/s (range)", "ratio to lightly with 2 workers (range)"], rows)


if __name__ == "__main__":
    main()
