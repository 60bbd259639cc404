"""What both scripts of this folder share: a piece of code in a process of its own, with its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PEAK = """
import json as _json
with open("/proc/self/status") as _file:
    _lines = dict(_line.split(":", 1) for _line in _file)
print(_json.dumps(figures | {"peak": int(_lines["VmHWM"].split()[0]) / 1024}))
"""
"""The largest resident memory of the process itself; what `wait4` says would count the parent's before `exec`, too."""


def measured(code: str, *arguments: str) -> dict[str, float]:
    """Run code in a fresh process. Linux only.

    Args:
        code: sets ``figures``, a dictionary; `sys.argv[1:]` are the arguments.
        *arguments: what it is told.

    Returns:
        Its figures, with ``peak``: the largest resident memory in megabytes.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code + PEAK, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def scratch(folder: str) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for what is generated.

    Args:
        folder: where; empty for the system's own.
    """
    return tempfile.TemporaryDirectory(dir=Path(folder) if folder else None)


def grid(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown.

    Args:
        title: above it.
        heads: of the columns.
        rows: the cells.
    """
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
