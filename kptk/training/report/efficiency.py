"""Section of a comparison's report: accuracy against labels per class, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kptk.training.report.evaluations import with_interval
from kptk.training.report.html import Html, join, percent, table, tag
from kptk.training.report.lines import Chart, Point, Series, draw_lines

if TYPE_CHECKING:
    from kptk.training.report.comparison import ComparisonPage


def place_name(labels: Any) -> str:
    """How a number of labels is written.

    Args:
        labels: of each class; 0 or ``"all"`` for every one.
    """
    return "all" if labels in ("all", 0) else str(labels)


def efficiency(page: ComparisonPage) -> Html:
    """Accuracy against labels per class, a line an arm.

    Args:
        page: the comparison.
    """
    rows = page.accuracy
    order = sorted(
        {place_name(row["labels_per_class"]) for row in rows}, key=lambda p: float("inf") if p == "all" else int(p)
    )
    where = {name: float(index) for index, name in enumerate(order)}
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    controls = {row["arm"] for row in rows if row.get("control")}
    series = []
    for arm in sorted(arms, key=lambda name: name in controls):
        own = sorted((r for r in rows if r["arm"] == arm), key=lambda r: where[place_name(r["labels_per_class"])])
        points = [
            Point(
                x=where[place_name(r["labels_per_class"])],
                y=100 * r["mean"],
                low=100 * r["low"] if r["seeds"] > 1 else None,
                high=100 * r["high"] if r["seeds"] > 1 else None,
            )
            for r in own
        ]
        series.append(Series(name=arm_name(arm), points=points, dashed=arm in controls))
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
        cells.setdefault(arm_name(r["arm"]), {})[place_name(r["labels_per_class"])] = text
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


def arm_name(arm: str) -> str:
    """What an arm is called on the page.

    Args:
        arm: as in the cells.
    """
    return {"raw": "raw inputs", "random": "random encoder"}.get(arm, arm)
