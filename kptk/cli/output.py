"""How the command line speaks: tables and bars on a terminal, plain lines in a pipe, JSON when asked."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from kptk.training.reporter import Advance, Reporter


class ConsoleReporter(Reporter):
    """Speaks on the terminal; plain lines when the output is a pipe.

    Args:
        quiet: say nothing.
        to_stderr: leave the standard output free, for ``--json``.
    """

    def __init__(self, *, quiet: bool = False, to_stderr: bool = False) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._above: Any = None

    def line(self, text: str = "") -> None:
        """Say one line."""
        if self._quiet:
            return
        if self._above is not None:  # lines said meanwhile go above the bar
            self._above.print(text, markup=False, highlight=False)
        else:
            click.echo(text, file=self._stream)

    @contextlib.contextmanager
    def progress(self, what: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Draw a bar with the time left; in a pipe, a line every half minute."""
        if self._quiet:
            yield lambda done, note: None
        elif self._stream.isatty():
            with self._bar(what, total, done) as advance:
                yield advance
        else:
            yield self._lines(what, total)

    @contextlib.contextmanager
    def _bar(self, what: str, total: int, done: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(file=self._stream), transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, note="")

            def advance(done: int, note: str) -> None:
                bar.update(task, completed=done, note=note)

            self._above = bar.console
            try:
                yield advance
            finally:
                self._above = None

    def _lines(self, what: str, total: int) -> Advance:
        last = time.monotonic()

        def advance(done: int, note: str) -> None:
            nonlocal last
            if time.monotonic() - last > 30:
                last = time.monotonic()
                self.line(f"{what}: {done:,} of {total:,} {note}".rstrip())

        return advance


def print_json(value: Any) -> None:
    """Write one JSON document to the standard output.

    Args:
        value: what to write.
    """
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: ruled on a terminal, tab-separated without a title in a pipe.

    Args:
        title: said above the table.
        columns: headings.
        rows: texts, one row of cells for each line.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console().print(table)
