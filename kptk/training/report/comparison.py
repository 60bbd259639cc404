"""The report of a comparison: label efficiency with intervals, costs, differences, every cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kptk import runfolder
from kptk.errors import InputError
from kptk.runfolder import RunFolder
from kptk.training.report import comparison_parts, efficiency
from kptk.training.report.document import Document, Sections, make_sections, render_document
from kptk.training.report.html import Html, tag
from kptk.training.reporter import Reporter

CELLS = "cells.jsonl"
CONTROLS = ("raw", "random")


@dataclass(frozen=True)
class ComparisonPage:
    """A comparison, as its report sees it.

    Args:
        path: its folder, which holds `cells.jsonl` and, once it is done, `summary.json`.
    """

    path: Path

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The finished cells; a last line that was cut off is left out."""
        cells: list[dict[str, Any]] = []
        lines = (self.path / CELLS).read_text(encoding="utf-8").splitlines()
        for place, line in enumerate(lines, start=1):
            try:
                cell = json.loads(line)
                _ = cell["arm"], cell["labels_per_class"], cell["seed"], cell["test"]
            except (ValueError, KeyError, TypeError) as error:
                if place == len(lines) and not line.endswith("}"):
                    break
                raise InputError(f"{self.path / CELLS}, line {place}: not a finished cell of a comparison.") from error
            cells.append(cell)
        if not cells:
            raise InputError(f"{self.path / CELLS} has no finished cell yet.")
        return cells

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures that the comparison wrote; empty while it is not done."""
        return RunFolder(self.path).read_json(runfolder.SUMMARY)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What it was made with."""
        return RunFolder(self.path).read_json(runfolder.ENVIRONMENT)

    @cached_property
    def accuracy(self) -> list[dict[str, Any]]:
        """Mean and interval of each arm at each number of labels: the comparison's own, or those of the cells so far."""
        return list(self.summary.get("accuracy") or means(self.cells))

    @cached_property
    def by_way(self) -> list[dict[str, Any]]:
        """Mean and interval of each arm's every way to use the labels."""
        return [row for row in means(self.cells) if not row["control"]]


def means(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean test score over seeds of each arm and number of labels, with the 95 % interval of Student's t.

    Args:
        cells: finished cells.
    """
    from scipy import stats

    groups: dict[tuple[str, Any], list[float]] = {}
    for cell in cells:
        groups.setdefault((cell["arm"], cell["labels_per_class"]), []).append(float(cell["test"]))
    rows = []
    for (arm, labels), scores in groups.items():
        count, mean = len(scores), float(np.mean(scores))
        spread = float(np.std(scores, ddof=1)) if count > 1 else 0.0
        half = float(stats.t.ppf(0.975, count - 1)) * spread / count**0.5 if count > 1 else 0.0
        rows.append(
            {
                "arm": arm,
                "labels_per_class": labels or "all",
                "mean": mean,
                "low": mean - half,
                "high": mean + half,
                "seeds": count,
                "control": arm.rpartition("/")[2] in CONTROLS,
            }
        )
    return rows


def banner(page: ComparisonPage) -> Html:
    """What was found, in the comparison's own words.

    Args:
        page: the comparison.
    """
    done = page.summary.get("status") == "done"
    verdicts = page.summary.get("verdicts") or [f"{len(page.cells):,} cells are finished; there is no verdict yet."]
    guides = [*page.summary.get("guidance", ()), *filter(None, [page.summary.get("advice")])]
    sentences = [tag("p", sentence) for sentence in (*verdicts, *guides)]
    failures = page.summary.get("failures") or ()
    sentences += [tag("p", f"Failed: {_failure(f)}") for f in failures]
    sign = tag("span", "✓" if done else "!", class_="sign", aria_hidden="true")
    word = tag("strong", "Done" if done else "Not complete")
    return tag("div", sign, tag("div", word, *sentences), class_=f"verdict {'good' if done else 'warn'}", role="status")


def _failure(found: Any) -> str:
    if not isinstance(found, dict):
        return str(found)
    arms = ", ".join(found.get("arms", ()))
    return f"{arms}, seed {found.get('seed', '?')}: {found.get('error', 'unknown')}. Log: {found.get('log', 'none')}"


SECTIONS: Sections = (
    ("efficiency", "Label efficiency", efficiency.efficiency),
    ("differences", "Differences", comparison_parts.differences),
    ("ways", "Each way to use the labels", comparison_parts.ways),
    ("costs", "What it costs", comparison_parts.costs),
    ("cells", "Cells", comparison_parts.every_cell),
    ("commands", "Repeat", comparison_parts.commands),
    ("environment", "Environment", comparison_parts.environment),
)

ARMS_NAMED = 6
"""More arms than these are counted in the title rather than named."""


def render_comparison(path: Path, reporter: Reporter) -> str:
    """The whole page of a comparison.

    Args:
        path: its folder.
        reporter: hears what could not be made.
    """
    page = ComparisonPage(path)
    arms = list(dict.fromkeys(efficiency.arm_name(r["arm"]) for r in page.accuracy if not r.get("control")))
    names = ", ".join(arms) if len(arms) <= ARMS_NAMED else f"{len(arms)} arms"
    return render_document(
        Document(
            title=f"Comparison of {names}",
            kind="Comparison",
            heading=names,
            parts=str(page.summary.get("data", page.environment.get("data", {}).get("description", ""))),
            path=str(path),
            banner=banner(page),
            sections=make_sections(page, SECTIONS, reporter),
        )
    )
