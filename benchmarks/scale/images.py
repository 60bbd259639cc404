"""Whether memory stays flat as a folder of images grows.

Generates PNG files of 16 x 16 pixels in ten class folders, in two sizes; the same images as a .zip and as a .tar. Each
figure comes from a process of its own, without Keras: it opens the data (every image is decoded once), then reads 100
batches of 256 images in random order, as a run does.

    python benchmarks/scale/images.py [--images 20000 200000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from measured import grid, measured, scratch
from PIL import Image

DIFFERENT = 500
"""Images that are drawn; the files are copies of these, which neither time nor memory can tell."""
CODE = """
import sys, time
import numpy as np
import kptk
begin = time.perf_counter()
source = kptk.dataset(sys.argv[1], image_size=16)
opened, used = time.perf_counter() - begin, time.process_time()
rng = np.random.default_rng(0)
begin = time.perf_counter()
for _ in range(100):
    source.read(rng.integers(0, len(source), 256))
read = time.perf_counter() - begin
assert len(source.class_names) == 10, source.describe()
figures = {"rows": len(source), "open": opened, "cpu": used, "batches": 100 * 256 / read}
"""
NOTHING = """
import kptk, numpy, PIL.Image
from kptk.plugins import Plugins
Plugins()
figures = {"rows": 0}
"""


def drawn() -> list[bytes]:
    """A few images, encoded."""
    made = []
    for seed in range(DIFFERENT):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        made.append(file.getvalue())
    return made


def write(folder: Path, count: int) -> dict[str, Path]:
    """Write a folder, a zip and a tar of the same images."""
    images = drawn()
    names = [f"class{row % 10}/{row:07d}.png" for row in range(count)]
    places = {"folder": folder / "files", "zip": folder / "images.zip", "tar": folder / "images.tar"}
    for label in range(10):
        (places["folder"] / f"class{label}").mkdir(parents=True)
    with zipfile.ZipFile(places["zip"], "w") as packed, tarfile.open(places["tar"], "w") as tape:
        for row, name in enumerate(names):
            data = images[row % DIFFERENT]
            (places["folder"] / name).write_bytes(data)
            packed.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tape.addfile(info, io.BytesIO(data))
            tape.members = []
    return places


def main() -> None:
    """Write the images, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[20_000, 200_000])
    parser.add_argument("--folder", default="", help="where the images are generated; the system's temporary folder")
    args = parser.parse_args()
    base = measured(NOTHING)["peak"]
    found = []
    for count in args.images:
        with scratch(args.folder) as folder:
            for name, path in write(Path(folder), count).items():
                figures = measured(CODE, str(path))
                assert figures["rows"] == count, figures
                found.append((count, name, figures))
    table = [
        [
            f"{count:,}",
            name,
            f"{figures['peak']:.0f}",
            f"{figures['open']:.1f}",
            f"{figures['cpu']:.1f}",
            f"{count / figures['cpu']:,.0f}",
            f"{figures['batches']:,.0f}",
        ]
        for count, name, figures in found
    ]
    heads = [
        "images",
        "in a",
        "peak MB",
        "seconds to open",
        "processor seconds",
        "images a processor second",
        "images/s in random batches",
    ]
    grid(f"A process that imports the same and reads nothing: {base:.0f} MB", heads, table)
    for kind in ("folder", "zip", "tar"):
        small, large = (figures["peak"] for _, name, figures in found if name == kind)
        print(f"{kind}: {1e6 * (large - small) / (args.images[1] - args.images[0]):.0f} more bytes for each more image")


if __name__ == "__main__":
    main()
