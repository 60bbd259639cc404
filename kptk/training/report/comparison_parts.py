"""Sections of a comparison's report about the numbers: differences, costs, every cell, commands, environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kptk.training.plan import duration
from kptk.training.report import facts
from kptk.training.report.efficiency import place_name
from kptk.training.report.html import Html, command, details, join, number, percent, table, tag

if TYPE_CHECKING:
    from kptk.training.report.comparison import ComparisonPage


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
                place_name(f["labels_per_class"]),
                f"{100 * f['mean']:+.1f} points",
                *(
                    (
                        f"[{100 * f['low']:+.1f}, {100 * f['high']:+.1f}]",
                        number(f.get("p")),
                        number(f.get("p_holm")),
                    )
                    if f["seeds"] > 1
                    else ("–", "–", "–")  # one seed has no spread
                ),
                f"{f['seeds']:,}",
            )
            for f in found
        ]
        heads = ("Difference", "Labels a class", "Mean", "95 % interval", "p", "p, corrected (Holm)", "Seeds")
        if rows:
            blocks.append(table(f"{caption}, paired by seed", heads, rows))
    return join(blocks) if blocks else None


def ways(page: ComparisonPage) -> Html | None:
    """Every way to use the labels by itself, such as frozen features beside fine-tuning.

    Args:
        page: the comparison.
    """
    rows = page.by_way
    if len({row["arm"] for row in rows}) == len({row["arm"].partition("/")[0] for row in rows}):
        return None  # one way an arm: the first figure says it
    labels = list(dict.fromkeys(row["labels_per_class"] for row in rows))
    found = {(row["arm"], row["labels_per_class"]): row for row in rows}
    lines = [
        (name, *(_mean(found.get((name, count))) for count in labels)) for name in dict.fromkeys(r["arm"] for r in rows)
    ]
    heads = ("Arm and way", *(f"{place_name(count)} a class" for count in labels))
    return table("Test accuracy, mean ± half of the 95 % interval over seeds", heads, lines)


def _mean(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    half = f" ± {50 * (row['high'] - row['low']):.1f}" if row["seeds"] > 1 else ""
    return f"{100 * row['mean']:.1f}{half} %"


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
            place_name(cell["labels_per_class"]),
            str(cell["seed"]),
            percent(cell.get("validation")),
            percent(cell["test"]),
            str(cell.get("chosen", "")),
        )
        for cell in page.cells
    ]
    heads = ("Cell", "Labels a class", "Seed", "Validation", "Test", "Chosen on validation rows")
    return details(f"All {len(rows):,} finished cells", table("cells.jsonl", heads, rows))


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
