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
from kptk.training.plan import duration
from kptk.training.report import facts
from kptk.training.report.document import Document, Sections, make_sections, render_document
from kptk.training.report.evaluations import with_interval
from kptk.training.report.html import Html, command, details, join, number, percent, table, tag
from kptk.training.report.lines import Chart, Point, Series, draw_lines
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
    sentences = [tag("p", sentence) for sentence in verdicts]
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


def _place(labels: Any) -> str:
    return "all" if labels in ("all", 0) else str(labels)


def efficiency(page: ComparisonPage) -> Html:
    """Accuracy against labels per class, a line an arm.

    Args:
        page: the comparison.
    """
    rows = page.accuracy
    order = sorted(
        {_place(row["labels_per_class"]) for row in rows}, key=lambda p: float("inf") if p == "all" else int(p)
    )
    where = {name: float(index) for index, name in enumerate(order)}
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    controls = {row["arm"] for row in rows if row.get("control")}
    series = []
    for arm in sorted(arms, key=lambda name: name in controls):
        own = sorted((r for r in rows if r["arm"] == arm), key=lambda r: where[_place(r["labels_per_class"])])
        points = [
            Point(
                x=where[_place(r["labels_per_class"])],
                y=100 * r["mean"],
                low=100 * r["low"] if r["seeds"] > 1 else None,
                high=100 * r["high"] if r["seeds"] > 1 else None,
            )
            for r in own
        ]
        series.append(Series(name=_named(arm), points=points, dashed=arm in controls))
    chart = Chart(
        title="Test accuracy in per cent",
        series=series,
        x_name="labels per class",
        places=[(place, name) for name, place in where.items()],
        show=lambda v: f"{v:.1f}" if v % 1 else f"{v:.0f}",
        floor=0.0,
        ceiling=100.0,
    )
    cells: dict[str, dict[str, str]] = {}
    for r in rows:
        text: str = percent(r["mean"])
        if r["seeds"] > 1:
            text = with_interval(text, f"[{100 * r['low']:.1f}, {100 * r['high']:.1f}]")
        cells.setdefault(_named(r["arm"]), {})[_place(r["labels_per_class"])] = text
    listed = [(name, *(by.get(place, "–") for place in order)) for name, by in cells.items()]
    most = max(r["seeds"] for r in rows)
    over = f"mean and 95 % interval of Student's t over {most} seeds" if most > 1 else "one seed, no interval"
    protocol = page.summary.get("protocol", "")
    return join(
        (
            tag("figure", draw_lines(chart), tag("figcaption", f"Test accuracy: {over}."), class_="plate"),
            table("The numbers behind the chart", ("Arm", *(f"{place} a class" for place in order)), listed),
            tag("p", protocol, class_="note") if protocol else None,
        )
    )


def _named(arm: str) -> str:
    return {"raw": "raw inputs", "random": "random encoder"}.get(arm, arm)


def differences(page: ComparisonPage) -> Html | None:
    """The paired tests.

    Args:
        page: the comparison.
    """
    blocks = []
    for key, caption in (("against_baseline", "Each arm against the baseline"), ("between", "Arms against each other")):
        found = page.summary.get(key) or []
        rows = [
            (
                f"{f['first']} − {f['second']}",
                _place(f["labels_per_class"]),
                f"{100 * f['mean']:+.1f} points",
                f"[{100 * f['low']:+.1f}, {100 * f['high']:+.1f}]",
                number(f.get("p")),
                number(f.get("p_holm")),
                f"{f['seeds']:,}",
            )
            for f in found
        ]
        heads = ("Difference", "Labels a class", "Mean", "95 % interval", "p", "p, corrected (Holm)", "Seeds")
        if rows:
            blocks.append(table(f"{caption}, paired by seed", heads, rows))
    return join(blocks) if blocks else None


COSTS = (
    ("seconds", "Time", duration),
    ("cpu_seconds", "Processor time", duration),
    ("peak_mb", "Peak memory", lambda v: f"{v:,.0f} MB"),
    ("parameters", "Parameters of the backbone", lambda v: f"{v:,.0f}"),
    ("trained", "Numbers trained", lambda v: f"{v:,.0f}"),
    ("steps", "Steps", lambda v: f"{v:,.0f}"),
)


def costs(page: ComparisonPage) -> Html | None:
    """What each arm cost.

    Args:
        page: the comparison.
    """
    found = page.summary.get("costs") or []
    if not found:
        return None
    columns = [column for column in COSTS if any(row.get(column[0]) is not None for row in found)]
    rows = [
        (row["arm"], *(show(row[key]) if row.get(key) is not None else "–" for key, _, show in columns))
        for row in found
    ]
    return table("Pre-training, mean over seeds", ("Arm", *(name for _, name, _ in columns)), rows)


def every_cell(page: ComparisonPage) -> Html:
    """All finished cells.

    Args:
        page: the comparison.
    """
    rows = [
        (
            cell["arm"],
            _place(cell["labels_per_class"]),
            str(cell["seed"]),
            percent(cell.get("validation")),
            percent(cell["test"]),
            str(cell.get("chosen", "")),
        )
        for cell in page.cells
    ]
    heads = ("Cell", "Labels a class", "Seed", "Validation", "Test", "Chosen on validation rows")
    return details(f"All {len(rows):,} finished cells", table(CELLS, heads, rows))


def commands(page: ComparisonPage) -> Html | None:
    """What to type to repeat it.

    Args:
        page: the comparison.
    """
    again = page.environment.get("command")
    return join((tag("p", "Repeat the comparison:"), command(again))) if again else None


def environment(page: ComparisonPage) -> Html | None:
    """What it was made with.

    Args:
        page: the comparison.
    """
    return facts.environment(page) if page.environment else None  # type: ignore[arg-type]


SECTIONS: Sections = (
    ("efficiency", "Label efficiency", efficiency),
    ("differences", "Differences", differences),
    ("costs", "What it costs", costs),
    ("cells", "Cells", every_cell),
    ("commands", "Repeat", commands),
    ("environment", "Environment", environment),
)


def render_comparison(path: Path, reporter: Reporter) -> str:
    """The whole page of a comparison.

    Args:
        path: its folder.
        reporter: hears what could not be made.
    """
    page = ComparisonPage(path)
    arms = list(dict.fromkeys(_named(r["arm"]) for r in page.accuracy if not r.get("control")))
    return render_document(
        Document(
            title=f"Comparison of {', '.join(arms)}",
            kind="Comparison",
            heading=", ".join(arms),
            parts=str(page.summary.get("data", page.environment.get("data", {}).get("description", ""))),
            path=str(path),
            banner=banner(page),
            sections=make_sections(page, SECTIONS, reporter),
        )
    )
