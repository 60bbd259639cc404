"""Whether memory stays flat as a folder grows: pre-training on 50,000 image files against 2,000.

Writes small JPEG and PNG files to a temporary folder, runs `kptk train --plugin contrastive --data FOLDER` on each for
the same number of epochs, and reads the peak resident memory of each whole process from the operating system. The two
runs take turns. A third run on one batch says how much of it is the program itself.

    python benchmarks/speed/memory.py [--files 2000 50000] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from drive import interleaved, machine, ratios, spread, table
from PIL import Image

TARGET = 1.15


def write(folder: Path, side: int, number: int) -> None:
    """Write one image; a smooth one, so that it compresses as a photograph does."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    image = small.resize((side, side), Image.Resampling.BICUBIC)
    image.save(folder / f"{number:06d}.{'png' if number % 2 else 'jpg'}")


def make(folder: Path, count: int, side: int) -> Path:
    """Write a folder of images, in four classes."""
    for label in range(4):
        place = folder / f"class{label}"
        place.mkdir(parents=True)
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(write, place, side), range(label, count, 4), chunksize=500))
    return folder


def peak(data: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Train once; return the peak resident memory in megabytes and the seconds."""
    kptk = str(Path(sys.executable).with_name("kptk"))
    with tempfile.TemporaryDirectory() as out:
        command = [kptk, "train", "--plugin", "contrastive", "--data", str(data), "--out", f"{out}/run"]
        command += ["--epochs", str(args.epochs), "--batch-size", str(args.batch), "--quiet", *args.more]
        start = time.perf_counter()
        with Path(out, "log").open("w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read()}")
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def main() -> None:
    """Make the folders, train on them in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, nargs=2, default=[2000, 50000])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("more", nargs="*", help="further arguments of kptk train, after --")
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        counts = [args.batch, *args.files]
        folders = [make(Path(name, str(count)), count, args.side) for count in counts]
        seconds: dict[Path, list[float]] = {folder: [] for folder in folders}

        def side(folder: Path) -> float:
            megabytes, took = peak(folder, args)
            seconds[folder].append(took)
            return megabytes

        results = interleaved([lambda folder=folder: side(folder) for folder in folders], args.rounds)
    rows = [
        [
            f"{count:,}",
            spread(values, 0),
            f"{statistics.median(seconds[folder]):.0f}",
            spread(ratios(values, results[1]), 3),
        ]
        for count, folder, values in zip(counts, folders, results, strict=True)
    ]
    columns = ["files", "peak resident MB (range)", "seconds", f"ratio to {args.files[0]:,} files (range)"]
    table(f"kptk train, {args.epochs} epoch(s), batch {args.batch}; target at most {TARGET}", columns, rows)


if __name__ == "__main__":
    main()
