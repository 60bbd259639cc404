"""What the speed benchmarks share: worker processes driven in turn, ratios with their spread, plain tables."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Worker:
    """One side of a comparison, in its own process and environment; it works only while it is asked to.

    Args:
        name: what the tables call it.
        command: interpreter, script and arguments. The script answers each line of its standard input with one line
            of JSON.
        env: environment variables on top of this process's own.
    """

    def __init__(self, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.name = name
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL,
            text=True,
            env={**os.environ, **quiet, **(env or {})},
        )
        self.facts = self._answer()

    def round(self) -> dict[str, Any]:
        """Let it work once: ``{"seconds": ..., "images": ...}``."""
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"the worker '{self.name}' ended. Run again with BENCH_DEBUG=1 to see its errors")


def interleaved(sides: Sequence[Callable[[], Any]], rounds: int) -> list[list[Any]]:
    """Call every side once a round, in turning order; return each side's results, round by round.

    Args:
        sides: functions that work once and return a measurement.
        rounds: how often.
    """
    results: list[list[Any]] = [[] for _ in sides]
    for number in range(rounds):
        order = list(range(len(sides)))
        for index in order if number % 2 == 0 else reversed(order):
            results[index].append(sides[index]())
    return results


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and the lowest and highest: ``"1.02 (0.98-1.10)"``."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """One ratio a round, so that a slow minute of the machine touches both sides of it."""
    return [a / b for a, b in zip(upper, lower, strict=True)]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, as the README records it."""
    print(f"\n{title}\n")
    for row in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(row)} |", flush=True)


def machine() -> str:
    """Date, cores, processor and load, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{date.today()}; {os.cpu_count()} cores, {model}; load {os.getloadavg()[0]:.1f} at the start"
