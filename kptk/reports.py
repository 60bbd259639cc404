"""What a folder holds that a report can be written of, told without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kptk import runfolder
from kptk.errors import InputError, UsageError
from kptk.runfolder import RunFolder

CELLS = "cells.jsonl"


def kind_of(path: str | Path) -> str:
    """Tell what a folder holds, and refuse what cannot be reported.

    Args:
        path: the folder.

    Returns:
        ``"run"``, ``"finetuned"`` or ``"comparison"``.

    Raises:
        InputError: if it is none of these, or a run that did not end.
    """
    folder = Path(path)
    if (folder / CELLS).is_file():
        return "comparison"
    opened = RunFolder.open(folder)
    if opened.finetuned:
        _ = opened.model
        return "finetuned"
    _ = opened.backbone
    if not (folder / runfolder.PRETRAINER).exists():
        raise InputError(f"{path} has no {runfolder.PRETRAINER}, which its report is made of.")
    return "run"


def target(paths: Sequence[str], out: str) -> Path:
    """Where the page goes, before any work is done.

    Args:
        paths: the folders.
        out: what the user said; empty for the folder itself, or for ``report.html`` here if there are several.

    Raises:
        UsageError: if folders of different kinds are mixed, or the file cannot be there.
    """
    kinds = {kind_of(path) for path in paths}
    if len(paths) > 1 and "comparison" in kinds:
        raise UsageError("a comparison has a page of its own. Give one comparison, or several runs.")
    path = Path(out) if out else (Path(paths[0]) if len(paths) == 1 else Path()) / runfolder.REPORT
    if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out must end with .html. Received: {path}.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"no folder {path.absolute().parent} to write {path.name} to. Make it first.")
    return path
