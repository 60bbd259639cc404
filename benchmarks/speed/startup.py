"""How long the command line takes to start, over a bare interpreter, with 30 plugins installed.

Makes as many small plugins (module, metadata and entry point each) in a temporary folder on PYTHONPATH as bring the
installed ones to 30, then runs
`python -c pass`, `kptk --help` and `kptk plugins list` in turn. Ratios are made round by round.

    python benchmarks/speed/startup.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from drive import interleaved, machine, ratios, spread, table

PLUGINS = 30
TARGETS = {"kptk --help": 8.0, "kptk plugins list": 14.0}

MODULE = '''"""A small plugin."""

from kptk import BackboneSpec, ObjectiveSpec, Option, hookimpl


@hookimpl
def kptk_objectives():
    """Offer an objective."""
    yield ObjectiveSpec(
        name="objective{number}",
        target="kptk_bench{number}.code:Objective",
        summary="An objective that is never built.",
        views=2,
        options=(Option(name="temperature", default=0.2, above=0.0, help="Softmax temperature."),),
        references=("https://arxiv.org/abs/2002.05709",),
    )


@hookimpl
def kptk_backbones():
    """Offer a backbone."""
    yield BackboneSpec(
        name="backbone{number}",
        target="kptk_bench{number}.code:backbone",
        summary="A backbone that is never built.",
        options=(Option(name="width", type=int, default=64, low=4, help="Filters."),),
    )
'''
METADATA = """Metadata-Version: 2.3
Name: kptk-bench{number}
Version: 0.1.0
Summary: A small plugin.
Project-URL: Issues, https://example.org/issues
Requires-Dist: kptk
"""


def install(folder: Path, count: int) -> None:
    """Write plugins as pip leaves them."""
    for number in range(count):
        package = folder / f"kptk_bench{number}"
        package.mkdir()
        (package / "__init__.py").write_text('"""A small plugin."""\n')
        (package / "plugin.py").write_text(MODULE.format(number=number))
        info = folder / f"kptk_bench{number}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA.format(number=number))
        (info / "entry_points.txt").write_text(f"[kptk]\nbench{number} = kptk_bench{number}.plugin\n")
        (info / "INSTALLER").write_text("pip\n")


def main() -> None:
    """Time the three commands in turn."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    print(machine())
    kptk = str(Path(sys.executable).with_name("kptk"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "kptk --help": [kptk, "--help"],
        "kptk plugins list": [kptk, "plugins", "list"],
    }
    with tempfile.TemporaryDirectory() as name:
        installed = len(metadata.entry_points(group="kptk"))
        install(Path(name), PLUGINS - installed)
        env = {**os.environ, "PYTHONPATH": name}

        def seconds(command: list[str]) -> float:
            start = time.perf_counter()
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            took = time.perf_counter() - start
            assert "list" not in command or len(done.stdout.splitlines()) == PLUGINS, done.stdout
            return took

        sides = [lambda command=command: seconds(command) for command in commands.values()]
        interleaved(sides, 1)
        results = interleaved(sides, args.rounds)
    rows = [
        [
            name,
            spread([1000 * value for value in values], 0),
            spread(ratios(values, results[0]), 1),
            f"{TARGETS[name]:.0f}" if name in TARGETS else "",
        ]
        for name, values in zip(commands, results, strict=True)
    ]
    columns = ["command", "ms (range)", "ratio to the bare interpreter (range)", "target, at most"]
    table(f"start-up with {PLUGINS} plugins, {installed} of them first-party, {args.rounds} rounds", columns, rows)


if __name__ == "__main__":
    main()
