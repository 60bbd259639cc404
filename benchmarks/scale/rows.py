"""Whether memory stays flat as a table grows, and how fast it is read, beside pandas.

Generates a CSV of three numbers, a whole number, a category of 50 names and a label of two (some 45 bytes a row) in a
temporary folder, in two sizes. Each figure comes from a process of its own, without Keras:

- kptk opens the file (one pass to look at every cell, one to keep the rows), then reads 400 batches of 256 rows in random
  order, as a run does;
- pandas reads the same file in chunks of 100,000 rows and lets each go again. One pass, and no access by row number.

    python benchmarks/scale/rows.py [--rows 1000000 10000000] [--folder DIR]

pandas is a dependency of the tests only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from measured import grid, measured, scratch
from pyarrow import csv

PIECE = 250_000
KPTK = """
import sys, time
import numpy as np
import kptk
begin = time.perf_counter()
options = {"label": sys.argv[2]} if sys.argv[2] else {}
source = kptk.dataset(sys.argv[1], **options)
opened, used = time.perf_counter() - begin, time.process_time()
rng = np.random.default_rng(0)
begin = time.perf_counter()
for _ in range(400):
    source.read(rng.integers(0, len(source), 256))
read = time.perf_counter() - begin
figures = {"rows": len(source), "open": opened, "cpu": used, "batches": 400 * 256 / read}
"""
PANDAS = """
import sys, time
import pandas
begin, rows = time.perf_counter(), 0
for chunk in pandas.read_csv(sys.argv[1], chunksize=100_000):
    rows += len(chunk)
figures = {"rows": rows, "open": time.perf_counter() - begin, "cpu": time.process_time()}
"""
NOTHING = """
import kptk, numpy, pyarrow.csv, pyarrow.compute, pyarrow.parquet
from kptk.plugins import Plugins
Plugins()
figures = {"rows": 0}
"""


def write(path: Path, rows: int) -> None:
    """Write a table piece by piece."""
    rng = np.random.default_rng(0)
    names = np.array([f"town {place}" for place in range(50)])
    with path.open("wb") as file:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            numbers = rng.normal(size=(3, count)).round(6)
            table = pa.table(
                {
                    "a": numbers[0],
                    "b": numbers[1],
                    "c": numbers[2],
                    "age": rng.integers(18, 90, count),
                    "town": names[rng.integers(0, 50, count)],
                    "y": np.where(rng.random(count) < 0.3, "yes", "no"),
                }
            )
            csv.write_csv(table, file, csv.WriteOptions(include_header=start == 0))


def main() -> None:
    """Write the tables, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs=2, default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", default="", help="where the tables are generated; the system's temporary folder")
    args = parser.parse_args()
    base = measured(NOTHING)["peak"]
    found = []
    with scratch(args.folder) as folder:
        for rows in args.rows:
            path = Path(folder) / f"{rows}.csv"
            write(path, rows)
            for name, code, words in (
                ("kptk", KPTK, [""]),
                ("kptk, with a label", KPTK, ["y"]),
                ("pandas, chunks", PANDAS, []),
            ):
                figures = measured(code, str(path), *words)
                assert figures["rows"] == rows, figures
                found.append((rows, path.stat().st_size, name, figures))
            path.unlink()
    table = [
        [
            f"{rows:,} ({size / 1e6:,.0f} MB)",
            name,
            f"{figures['peak']:.0f}",
            f"{figures['open']:.1f}",
            f"{figures['cpu']:.1f}",
            f"{rows / figures['cpu'] / 1e3:,.0f}",
            f"{figures['batches']:,.0f}" if "batches" in figures else "-",
        ]
        for rows, size, name, figures in found
    ]
    heads = [
        "rows",
        "reader",
        "peak MB",
        "seconds to open or read",
        "processor seconds",
        "thousand rows a processor second",
        "rows/s in random batches",
    ]
    grid(f"A process that imports the same and reads nothing: {base:.0f} MB", heads, table)
    for name in ("kptk", "kptk, with a label", "pandas, chunks"):
        small, large = (figures["peak"] for _, _, reader, figures in found if reader == name)
        print(f"{name}: {1e6 * (large - small) / (args.rows[1] - args.rows[0]):.1f} more bytes for each more row")


if __name__ == "__main__":
    main()
