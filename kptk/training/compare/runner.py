"""Runs what is missing of a comparison, each group of cells in a process of its own. Imports no Keras."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from kptk.comparing.config import ComparisonConfig
from kptk.errors import RunError
from kptk.training.compare.folder import FAILURES, STEPS, ComparisonFolder
from kptk.training.compare.groups import Group, groups_of, tasks
from kptk.training.compare.summary import CONTROL_WAYS
from kptk.training.compare.table import Table
from kptk.training.experiment import Cell, Grid
from kptk.training.reporter import Reporter

WORKER = "kptk.training.compare.worker"
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class Runner:
    """Fills the grid of a comparison.

    Args:
        config: the comparison.
        folder: its folder.
        table: its data.
        jobs: processes at a time.
        reporter: how it speaks.
    """

    def __init__(
        self, config: ComparisonConfig, folder: ComparisonFolder, table: Table, jobs: int, reporter: Reporter
    ) -> None:
        self.config = config
        self.folder = folder
        self.table = table
        self.jobs = jobs
        self.reporter = reporter
        self.grid: Grid = folder.grid()
        self.failures: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self) -> list[dict[str, Any]]:
        """Run every missing cell.

        Returns:
            The failures: group, seed, what went wrong, where the log is.
        """
        self.grid.mend()
        to_do = list(tasks(self.config, self.grid))
        missing = sum(len(cells) for *_, cells in to_do)
        done = len(self.grid.cells)
        if done:
            self.reporter.line(f"{done:,} cells are done, {missing:,} to do.")
        with self.reporter.progress("Comparing", done + missing, done) as advance:
            self._advance = advance
            steps = self._steps({group.name: group for group, *_ in to_do})
            with ThreadPoolExecutor(self.jobs, thread_name_prefix="kptk-compare") as pool:
                futures = [
                    pool.submit(self._group, group, seed, cells, steps[group.name])
                    for group, seed, cells in to_do
                    if group.name in steps
                ]
                try:
                    for future in as_completed(futures):
                        future.result()
                except BaseException:
                    self._stop()
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        self.folder.write(FAILURES, json.dumps(self.failures, indent=2))
        return self.failures

    def _steps(self, groups: dict[str, Group]) -> dict[str, int]:
        """Steps of each group's budget; of a budget of time they are measured once and kept."""
        budget = self.config.budget
        batch = self.config.values["batch_size"]
        if budget.unit != "seconds":
            steps = budget.steps(rows=self.table.pool_rows, batch_size=batch)
            return dict.fromkeys(groups, steps)
        known: dict[str, int] = self.folder.read(STEPS)
        for name, group in groups.items():
            if name in known:
                continue
            seconds = 0.0
            for line in self._process(group, self.config.seeds[0], None, 0):
                seconds = float(line.get("step_seconds", 0.0)) or seconds
            if not seconds:
                continue  # its failure was told
            if group.arms[0].origin:
                known[name] = 0
            else:
                known[name] = budget.steps(rows=self.table.pool_rows, batch_size=batch, step_seconds=seconds)
            self.reporter.line(f"{group.arms[0].name}: {known[name]:,} steps of {1000 * seconds:.1f} ms in {budget}")
            self.folder.write(STEPS, json.dumps(known))
        return known

    def _group(self, group: Group, seed: int, cells: list[tuple[str, int]], steps: int) -> None:
        told: dict[int, float] = {}
        for line in self._process(group, seed, cells, steps):
            if "cell" in line:
                cell = Cell(**line["cell"])
                with self._lock:
                    self.grid.add(cell)
                    self._advance(len(self.grid.cells), f"{cell.arm} seed {seed}")
                if cell.arm.rpartition("/")[2] not in CONTROL_WAYS:
                    told[cell.labels_per_class] = max(told.get(cell.labels_per_class, 0.0), cell.test)
        if not group.missing(self.config, self.grid, seed):
            self.folder.kept(group.name, seed).unlink(missing_ok=True)
            names = ", ".join(arm.name for arm in group.arms)
            best = ", ".join(f"{labels or 'all'}: {100 * value:.1f} %" for labels, value in told.items())
            self.reporter.line(f"{names}, seed {seed}: {best}  ({len(self.grid.cells):,} cells done)")

    def _process(
        self, group: Group, seed: int, cells: list[tuple[str, int]] | None, steps: int
    ) -> Iterator[dict[str, Any]]:
        """Start a group's process and yield the lines that it says; a failure is kept and told."""
        task = {
            "arms": [arm.name for arm in group.arms],
            "seed": seed,
            "cells": cells,
            "steps": steps,
            "kept": str(self.folder.kept(group.name, seed)),
        }
        log = self.folder.log(group.name, seed)
        command = [sys.executable, "-m", WORKER, str(self.folder.path), json.dumps(task)]
        error: dict[str, Any] = {}
        with log.open("w", encoding="utf-8") as errors:
            with self._lock:
                if self._stopped:
                    return
                # The open pipe to its standard input is how it knows that we are alive.
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=self._environment(),
                    start_new_session=True,  # Ctrl-C is ours to handle
                )
                self._running.add(process)
            with process:
                assert process.stdout is not None
                for text in process.stdout:
                    try:
                        line = json.loads(text)
                    except ValueError:
                        continue  # cut off by a kill
                    if "error" in line:
                        error = line
                    else:
                        yield line
                code = process.wait()
            with self._lock:
                self._running.discard(process)
        if code and not self._stopped:
            self._fail(group, seed, error or {"error": _ended(code), "kind": "killed"}, str(log))

    def _fail(self, group: Group, seed: int, error: dict[str, Any], log: str) -> None:
        names = ", ".join(arm.name for arm in group.arms)
        with self._lock:
            self.failures.append({"arms": [arm.name for arm in group.arms], "seed": seed, **error, "log": log})
        self.reporter.line(f"FAILED {names}, seed {seed}: {error['error']}  (log: {log})")

    def _environment(self) -> dict[str, str]:
        """Processes that run side by side share the processors rather than fight for them."""
        environment = dict(os.environ)
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if self.jobs > 1:
            for name in THREADS:
                environment.setdefault(name, str(max((os.cpu_count() or 1) // self.jobs, 1)))
        return environment

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()


def _ended(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        memory = ", most likely for want of memory" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{memory}"
    return f"its process ended with exit code {code}"


def require_some(failures: list[dict[str, Any]], grid: Grid, config: ComparisonConfig) -> None:
    """Raise if nothing at all came out of a comparison.

    Args:
        failures: what went wrong.
        grid: finished cells.
        config: the comparison.

    Raises:
        RunError: with the first failure.
    """
    if failures and not grid.cells:
        first = failures[0]
        raise RunError(
            f"every one of {len(failures)} groups failed ({len(groups_of(config))} arms with a pre-training of their own); "
            f"the first: {first['error']} (log: {first['log']})"
        )
