"""`kptk runs`: list, show, compare and remove the runs on this disk. Keras is never imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kptk import figures, registry
from kptk.cli.output import print_json, print_table
from kptk.errors import UsageError
from kptk.registry import Record

ROOT = click.option(
    "--root", metavar="FOLDER", default="runs", show_default=True, help="Where the runs are; looked through."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
KEY_FIGURES = (
    *("test.accuracy", "validation.accuracy", "knn_accuracy", "test.rmse", "test.mae", "effective_rank", "loss"),
)
"""What a list shows of a run: the first of these that it has."""
PACKAGES = "packages."


@click.group()
def runs() -> None:
    """List, show, rank, compare and remove the runs in a folder."""


@runs.command("list")
@ROOT
@JSON
def list_runs(root: str, as_json: bool) -> None:
    """List every run under a folder, newest first: finished, unfinished and broken ones."""
    records = registry.scan(root)
    if as_json:
        print_json([record.to_dict() for record in records])
        return
    if not records:
        click.echo(f"No run in {root}. Make one: kptk train --plugin contrastive", err=True)
        return
    rows = [
        [record.name, record.kind, record.status, record.what, record.data, _key_figure(record), _when(record)]
        for record in records
    ]
    print_table("", ["run", "kind", "status", "what", "data", "result", "begun"], rows)
    for record in records:
        if record.problem:
            click.echo(f"{record.path}: {record.problem}", err=True)


@runs.command("show")
@click.argument("run")
@ROOT
@JSON
def show_run(run: str, root: str, as_json: bool) -> None:
    """Show one run: parts, data, results, versions, files.

    RUN is a folder, or its name under the root.
    """
    record = registry.find(root, run)
    files = {entry.name: _size(entry) for entry in sorted(record.path.iterdir())}
    if as_json:
        more = {"config": record.config, "environment": record.environment, "summary": record.summary, "files": files}
        print_json(record.to_dict() | more)
        return
    click.echo(click.style(record.name, bold=True) + f"  {record.kind}, {record.status}")
    if record.problem:
        click.echo(f"  broken: {record.problem}")
    for title, text in (
        ("what", record.what),
        ("data", record.data),
        ("begun", _when(record)),
        ("command", record.environment.get("command", "")),
        ("verdict", record.summary.get("verdict", "")),
    ):
        if text:
            click.echo(f"  {title}: {text if isinstance(text, str) else ' '.join(map(str, text))}")
    for name, value in record.figures.items():
        click.echo(f"  {name}: {_shown(value)}")
    click.echo("  files: " + ", ".join(f"{name} ({_bytes(size)})" for name, size in files.items()))
    if record.status == "unfinished":
        click.echo(f"  Go on with it: {_resume_command(record)}")


@runs.command("best")
@click.option("--by", "metric", metavar="METRIC", required=True, help="A figure, such as knn_accuracy or loss.")
@click.option("--lowest", is_flag=True, help="The lowest is best; otherwise the metric's name says.")
@click.option("--highest", is_flag=True, help="The highest is best.")
@click.option("-n", "--count", type=click.IntRange(1), default=5, show_default=True, help="How many to show.")
@ROOT
@JSON
def best_run(metric: str, lowest: bool, highest: bool, count: int, root: str, as_json: bool) -> None:
    """Rank the runs by a figure, the best first."""
    if lowest and highest:
        raise UsageError("--lowest and --highest are opposites. Leave one out.")
    ranked = figures.best(registry.scan(root), metric, lowest=True if lowest else False if highest else None)
    top = ranked[:count]
    if as_json:
        print_json([record.to_dict() | {"metric": metric, "value": value} for record, value in top])
    else:
        rows = [[record.name, _shown(value), record.kind, record.what, record.data] for record, value in top]
        print_table("", ["run", metric, "kind", "what", "data"], rows)
    if warning := _unlike([record for record, _ in top]):
        click.echo(warning, err=True)


@runs.command("diff")
@click.argument("first")
@click.argument("second")
@ROOT
@JSON
def diff_runs(first: str, second: str, root: str, as_json: bool) -> None:
    """Show in what two runs differ: configuration, data and versions, results."""
    a, b = registry.find(root, first), registry.find(root, second)
    config = figures.differences(a.config, b.config)
    made_with = [
        row
        for row in figures.differences(a.environment, b.environment)
        if row[0] in ("kptk", "python", "backend", "seed", "data.fingerprint", "data.rows", "origin.checksum")
        or row[0].startswith(PACKAGES)
    ]
    left, right = a.figures, b.figures
    results = [(name, left.get(name), right.get(name)) for name in dict.fromkeys([*left, *right])]
    if as_json:
        parts = {"configuration": config, "environment": made_with, "results": results}
        print_json({k: [{"key": n, "first": v, "second": w} for n, v, w in rows] for k, rows in parts.items()})
        return
    for title, rows in (("configuration", config), ("environment", made_with)):
        if rows:
            table = [[title, key, _text(one), _text(other), ""] for key, one, other in rows]
            print_table(title, ["", "key", a.name, b.name, ""], table)
        else:
            click.echo(f"The same {title}.")
    table = [
        ["results", name, _text(one), _text(other), _change(one, other)]
        for name, one, other in results
        if one is not None or other is not None
    ]
    print_table("results", ["", "figure", a.name, b.name, "change"], table)


@runs.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@ROOT
def remove_runs(names: tuple[str, ...], yes: bool, root: str) -> None:
    """Delete runs with everything in their folders.

    Asks first, and refuses what is not a run folder.
    """
    records = [registry.find(root, name) for name in names]  # every name is right before anything goes
    for record in records:
        size = sum(_size(entry) for entry in record.path.iterdir())
        question = f"Delete {record.path} ({record.kind}, {record.status}, {_bytes(size)})?"
        if yes or click.confirm(question):
            registry.remove(record)
            click.echo(f"Deleted {record.path}")
        else:
            click.echo(f"Kept {record.path}")


def _resume_command(record: Record) -> str:
    if record.kind == "compare":
        return f"kptk compare {record.path}"
    return f"kptk {'finetune' if record.kind == 'finetune' else 'train'} --resume {record.path}"


def _key_figure(record: Record) -> str:
    figures = record.figures
    if record.kind == "compare":
        return f"{int(figures.get('cells', 0))} cells" if "cells" in figures else ""
    return next((f"{name} {_shown(figures[name])}" for name in KEY_FIGURES if name in figures), "")


def _when(record: Record) -> str:
    return f"{record.started:%Y-%m-%d %H:%M}" if record.started else ""


def _unlike(records: Sequence[Record]) -> str:
    """A warning if figures cannot be compared, since the runs learned from different data."""
    data = {str(registry.section(record.environment, "data").get("fingerprint", record.data)) for record in records}
    if len(data) < 2:
        return ""
    return "These runs learned from different data, so their figures need not mean the same."


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _text(value: Any) -> str:
    return "-" if value is None else _shown(value) if isinstance(value, float) else str(value)


def _change(first: float | None, second: float | None) -> str:
    return "" if first is None or second is None else f"{second - first:+.4g}"


def _size(path: Path) -> int:
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(_size(entry) for entry in path.iterdir())
        return path.lstat().st_size
    except OSError:
        return 0


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
