"""What `kptk evaluate` found, kept in the run folder so that a report can show it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kptk.errors import RunError
from kptk.runfolder import EVALUATIONS, RunFolder

if TYPE_CHECKING:
    from kptk.training.evaluation import Evaluation


def keep(run: str | Path, data: str, evaluation: Evaluation) -> None:
    """Write an evaluation into its run folder. A newer one on the same data takes the place of its own figures only.

    A ``.keras`` file has no folder, and one that cannot be written keeps nothing: the figures were printed.

    Args:
        run: the run folder or file.
        data: the labelled data, as it was named.
        evaluation: what was found.
    """
    if not Path(run).is_dir():
        return
    folder = RunFolder(run)
    kept = read(folder)
    new = evaluation.to_dict()
    protocols = {result["protocol"] for result in new["results"]}
    before = kept.get(data, {}).get("results", [])
    new["results"] = [result for result in before if result["protocol"] not in protocols] + new["results"]
    new["when"] = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    try:
        folder.write(EVALUATIONS, json.dumps(kept | {data: new}, indent=2))
    except RunError:  # read-only runs can be judged, too
        return


def read(folder: RunFolder) -> dict[str, Any]:
    """Read what was kept: an evaluation by the name of its data; empty if there is none.

    Args:
        folder: the run folder.
    """
    try:
        return folder.read_json(EVALUATIONS)
    except ValueError:
        return {}
