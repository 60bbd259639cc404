"""Whether memory stays flat as a table in a NumPy or HDF5 file grows.

Generates a matrix of 20 columns (float32, 80 bytes a row) with a class for each row in a temporary folder, in two sizes and
several forms. Each figure comes from a process of its own, without Keras, that opens the file and reads 400 batches of 256
rows in random order.

    python benchmarks/scale/arrays.py [--rows 250000 1000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from measured import grid, measured, scratch

OPENED = """
import sys, time
import numpy as np
import kptk
source = kptk.dataset(sys.argv[1])
used = time.process_time()
rng = np.random.default_rng(0)
for _ in range(400):
    source.read(rng.integers(0, len(source), 256))
figures = {"rows": len(source), "cpu": used}
"""


def hdf5(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Write an HDF5 file in chunks."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=x, chunks=(1000, x.shape[1]))
        file["y"] = y


FORMS: dict[str, tuple[str, Callable[[Path, np.ndarray, np.ndarray], None]]] = {
    ".npy, rows together": (".npy", lambda path, x, y: np.save(path, x)),
    ".npy, columns together": (".npy", lambda path, x, y: np.save(path, np.asfortranarray(x))),
    ".npz, rows together": (".npz", lambda path, x, y: np.savez(path, x=x, y=y)),
    ".npz, columns together": (".npz", lambda path, x, y: np.savez(path, x=np.asfortranarray(x), y=y)),
    ".npz, compressed": (".npz", lambda path, x, y: np.savez_compressed(path, x=x, y=y)),
    ".h5": (".h5", hdf5),
}


def main() -> None:
    """Write the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs=2, default=[250_000, 1_000_000])
    parser.add_argument("--folder", default="", help="where the files are generated; the system's temporary folder")
    args = parser.parse_args()
    table = []
    with scratch(args.folder) as folder:
        for rows in args.rows:
            rng = np.random.default_rng(0)
            x, y = rng.normal(size=(rows, 20)).astype("float32"), rng.integers(0, 2, rows)
            for name, (suffix, save) in FORMS.items():
                path = Path(folder) / f"table{suffix}"
                save(path, x, y)
                figures = measured(OPENED, str(path))
                assert figures["rows"] == rows, figures
                size = path.stat().st_size / 1e6
                table.append([f"{rows:,} ({size:,.0f} MB)", name, f"{figures['peak']:.0f}", f"{figures['cpu']:.1f}"])
                path.unlink()
    grid("A matrix of 20 columns", ["rows", "form", "peak MB", "processor seconds to open"], table)


if __name__ == "__main__":
    main()
