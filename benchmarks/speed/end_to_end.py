"""Images a second of a whole SimCLR run, views included: kptk's `model.fit` against lightly's documented loop.

ResNet-18 on 32 x 32 colour images in memory, both stems, the same views, projector, loss, temperature, optimiser and
batch. Every side is a process of its own; they take turns, one epoch each a round. Ratios are made round by round.

    python benchmarks/speed/end_to_end.py --peers FOLDER [--torch PYTHON] [--jax PYTHON] [--profile]

FOLDER is what setup_peers.sh made. With --torch or --jax, our side also runs on those backends, in those environments.
With --profile, each side's views and its training on a batch that is kept are measured alone as well.
"""

from __future__ import annotations

import argparse
import sys

from drive import HERE, Worker, interleaved, machine, ratios, spread, table


def sides(args: argparse.Namespace, mode: str, stem: str) -> list[Worker]:
    """Start every side; the peer comes first."""
    common = [mode, "--stem", stem, "--batch", str(args.batch), "--images", str(args.images)]
    ours, theirs = str(HERE / "kptk_worker.py"), str(HERE / "lightly_worker.py")
    peer = [f"{args.peers}/bin/python", theirs, *common, "--workers", str(args.workers)]
    threads = {"OMP_NUM_THREADS": "", "TF_NUM_INTRAOP_THREADS": "", "TF_NUM_INTEROP_THREADS": ""}
    threads = dict.fromkeys(threads, str(args.threads)) if args.threads else {}
    workers = [Worker(f"lightly, {args.workers} loader workers", peer, threads)]
    pythons = {"tensorflow": sys.executable, "torch": args.torch, "jax": args.jax}
    for backend, python in pythons.items():
        if python:
            workers.append(Worker(f"kptk, {backend}", [python, ours, *common], {**threads, "KERAS_BACKEND": backend}))
    if args.jit:
        jitted = [sys.executable, ours, *common, "--jit"]
        workers.append(Worker("kptk, tensorflow, jit_compile", jitted, {**threads, "KERAS_BACKEND": "tensorflow"}))
    return workers


def compare(args: argparse.Namespace, mode: str, stem: str) -> None:
    """Run the rounds and print one table."""
    workers = sides(args, mode, stem)

    answers = interleaved([worker.round for worker in workers], args.rounds)
    rates = [[answer["images"] / answer["seconds"] for answer in side] for side in answers]
    costs = [[1000 * answer["cpu"] / answer["images"] for answer in side] for side in answers]
    rows = [
        [
            worker.name,
            f"{worker.facts.get('parameters', 0):,}",
            spread(rate, 0),
            spread(ratios(rate, rates[0])),
            spread(cost, 1),
            spread(ratios(costs[0], cost)),
        ]
        for worker, rate, cost in zip(workers, rates, costs, strict=True)
    ]
    for worker in workers:
        worker.close()
    what = {"fit": "end to end", "train": "training alone, one batch kept", "views": "views alone"}[mode]
    title = f"{what}, {stem} stem, batch {args.batch}, {args.rounds} rounds of {args.images} images"
    title += f", {args.threads or 'default'} threads; medians (ranges)"
    table(title, ["side", "parameters", "images/s", "faster than lightly", "CPU ms an image", "CPU saved, x"], rows)


def main() -> None:
    """Compare the sides on both stems."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", required=True, help="the peers' environment")
    parser.add_argument("--torch", help="interpreter of an environment with kptk and PyTorch")
    parser.add_argument("--jax", help="interpreter of an environment with kptk and JAX")
    parser.add_argument("--jit", action="store_true", help="also run with jit_compile=True on TensorFlow")
    parser.add_argument("--stems", nargs="+", default=["imagenet", "small"], choices=["imagenet", "small"])
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=0, help="images a round; default 1,024 and, small stem, 256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of lightly's loader")
    parser.add_argument("--threads", type=int, default=0, help="compute threads of every side; 0: its default")
    args = parser.parse_args()
    print(machine())
    count = args.images
    for stem in args.stems:
        args.images = count or (1024 if stem == "imagenet" else 256)
        for mode in ("fit", "train") if args.profile else ("fit",):
            compare(args, mode, stem)
    if args.profile:
        args.images = 2048
        compare(args, "views", "small")


if __name__ == "__main__":
    main()
