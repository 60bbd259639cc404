"""The runs on this disk, found by looking into folders: there is no database to keep, and no server."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kptk import runfolder
from kptk.errors import InputError, RunError, UsageError, did_you_mean
from kptk.figures import numbers

COMPARISON = "comparison.toml"
CELLS = "cells.jsonl"
DEPTH = 4
"""How many folders deep a run is looked for."""
FORMS: dict[str, tuple[str, ...]] = {
    "run": (runfolder.CONFIG, runfolder.ENVIRONMENT, runfolder.METRICS),
    "compare": (COMPARISON, CELLS),
}
"""The files by which a folder is known: all of them are there from the moment at which kptk makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one run.

    Args:
        name: its folder, relative to where it was looked for.
        path: its folder.
        kind: ``"train"``, ``"finetune"``, ``"compare"``, or ``"run"`` if the configuration cannot be read.
        status: ``"unfinished"``, ``"broken"``, or what the run itself says, such as ``"healthy"``.
        problem: what is wrong with it, if it is broken.
        config: its configuration, as nested dictionaries.
        environment: what it was made with.
        summary: its results.
        last: its last recorded epoch.
        started: when it was begun.
    """

    name: str
    path: Path
    kind: str
    status: str
    problem: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    last: Mapping[str, Any] = field(default_factory=dict)
    started: datetime | None = None

    @property
    def what(self) -> str:
        """Its parts in a few words."""
        if self.kind == "compare":
            return ", ".join(section(self.config, "arms"))
        names = ("strategy", "task") if self.kind == "finetune" else ("objective", "backbone")
        return ", ".join(str(section(self.config, name).get("name", "?")) for name in names)

    @property
    def data(self) -> str:
        """What it learned from: a path or a name."""
        part = section(self.config, "data")
        return str(part.get("path") or part.get("name", ""))

    @property
    def figures(self) -> dict[str, float]:
        """Every number of its results by dotted name; those of the last epoch where the summary has none."""
        return numbers(self.last) | numbers(self.summary)

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "kind": self.kind,
            "status": self.status,
            "problem": self.problem,
            "what": self.what,
            "data": self.data,
            "started": self.started.isoformat(timespec="seconds") if self.started else None,
            "figures": self.figures,
        }


def scan(root: str | Path) -> list[Record]:
    """Find every run under a folder, newest first.

    Hidden folders (runs that are just being made) and links are not followed, and nothing is looked for inside a run.

    Args:
        root: where to look.

    Raises:
        InputError: if there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no folder at {root}, so there are no runs in it. Name another: --root FOLDER")
    found = [read(path, str(path.relative_to(root)) if path != root else path.name) for path in _folders(root, DEPTH)]
    return sorted(found, key=lambda record: record.started or datetime.min, reverse=True)


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if form(folder):
        yield folder
        return
    if depth == 0:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # a folder that cannot be read holds no run of ours
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _folders(folder / entry.name, depth - 1)


def form(path: Path) -> str:
    """Which form of run a folder has, empty if it is none of kptk's.

    Args:
        path: a folder.
    """
    for name, files in FORMS.items():
        if all((path / file).is_file() for file in files):
            return name
    return ""


def read(path: Path, name: str = "") -> Record:
    """Read one run, whatever state it is in; what cannot be read makes it ``"broken"`` and is said.

    Args:
        path: a folder that has the form of a run.
        name: what to call it; its path if empty.
    """
    kind = form(path)
    config_file = COMPARISON if kind == "compare" else runfolder.CONFIG
    problems: list[str] = []
    config = _parsed(path / config_file, problems)
    environment = _parsed(path / runfolder.ENVIRONMENT, problems)
    summary = _parsed(path / runfolder.SUMMARY, problems)
    if kind == "run" and config:
        kind = "finetune" if "origin" in config else "train" if "objective" in config else "run"
        if kind == "run":
            problems.append(f"{config_file} names no objective")
    status = str(summary.get("status") or "done") if summary else "unfinished"
    return Record(
        name=name or str(path),
        path=path,
        kind=kind,
        status="broken" if problems else status,
        problem="; ".join(problems),
        config=config,
        environment=environment,
        summary=summary,
        last=_last_line(path / runfolder.METRICS),
        started=_time(path / config_file),
    )


def _parsed(path: Path, problems: list[str]) -> dict[str, Any]:
    """The content of a TOML or JSON file; empty if it is absent, and a problem if it is damaged."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:  # decoding errors of TOML, JSON and UTF-8 are ValueErrors
        problems.append(f"{path.name} cannot be read ({error})")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name} holds no table")
        return {}
    return content


def _last_line(path: Path) -> dict[str, Any]:
    last: dict[str, Any] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            last = row if isinstance(row, dict) else last
    except (OSError, ValueError):
        pass  # no log yet, or a line that a crash cut off: what stands before it counts
    return last


def _time(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime)
    except OSError:
        return None


def section(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of nested dictionaries; empty if it is absent or no dictionary.

    Args:
        table: nested dictionaries.
        name: of the part.
    """
    part = table.get(name, {})
    return part if isinstance(part, Mapping) else {}


def find(root: str | Path, name: str) -> Record:
    """Find one run by its path, or by its name under the root.

    Args:
        root: where to look for names.
        name: a path, or the name that `scan` gives; the last part of a name will do if only one run has it.

    Raises:
        InputError: if there is none.
        UsageError: if several have that name.
    """
    for path in (Path(name), Path(root) / name):
        if form(path):
            return read(path, name)
    records = scan(root) if Path(root).is_dir() else []
    same = [record for record in records if Path(record.name).name == name]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"'{name}' is the name of {len(same)} runs: {', '.join(record.name for record in same)}.")
    if Path(name).exists():
        raise InputError(
            f"{name} is not a run folder: it has no {runfolder.CONFIG} with {runfolder.ENVIRONMENT} and "
            f"{runfolder.METRICS}, and no {COMPARISON} with {CELLS}."
        )
    hint = did_you_mean(name, [record.name for record in records])
    raise InputError(f"no run '{name}' in {root}. {hint or 'See: kptk runs list'}")


def remove(record: Record) -> None:
    """Delete a run's folder: out of the way in one step first, so that no half of it is left where a run was.

    Args:
        record: the run.

    Raises:
        UsageError: if it is no run folder, a link, or holds the working folder or another run.
        RunError: if it cannot be deleted.
    """
    path = record.path
    if path.is_symlink():
        raise UsageError(f"{path} is a link to {path.resolve()}. Remove the link itself, or name the run.")
    if not form(path):
        raise UsageError(f"{path} is not a run folder, and is left alone.")
    if Path.cwd().resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{path} holds the folder you are in. Leave it first.")
    inner = [inside for entry in path.iterdir() if entry.is_dir() for inside in _folders(entry, DEPTH)]
    if inner:
        raise UsageError(f"{path} holds another run: {inner[0]}. Move or remove that first.")
    gone = path.with_name(f".{path.name}-removed")
    try:
        path.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise RunError(f"could not delete {path}: {error.strerror or error}") from error
