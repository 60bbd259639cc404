"""Section of a report with what `kptk evaluate` found, beside the controls and with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kptk.settings import PROTOCOLS
from kptk.training.evaluation_file import read
from kptk.training.report.html import Html, details, join, table, tag

if TYPE_CHECKING:
    from kptk.training.report.page import Page

ENCODERS = {"run": "This run", "random": "Random encoder", "raw": "Raw inputs"}
PLAIN = ("effective_rank", "alignment", "uniformity")
"""Figures that are no shares."""


def evaluation(page: Page) -> Html | None:
    """Every evaluation that was kept in the run folder; None if there is none.

    Args:
        page: the run.
    """
    kept = read(page.folder)
    blocks = [_block(data, found) for data, found in kept.items()]
    return join(blocks) if blocks else None


def _block(data: str, found: dict[str, Any]) -> Html:
    results = in_order(found["results"])
    warnings = [remark for remark in found.get("remarks", ()) if remark.startswith("Warning")]
    notes = [remark for remark in found.get("remarks", ()) if not remark.startswith("Warning")]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for result in results:
        rows.setdefault((result["protocol"], label(result)), {})[result["encoder"]] = result
    cells = [[name, *(figure(by.get(encoder)) for encoder in ENCODERS)] for (_, name), by in rows.items()]
    caption = f"On {data}, {found.get('when', '')}; seed {results[0]['seed']}. In brackets 95 % intervals."
    firsts = [(name, next(iter(by.values()))) for (_, name), by in rows.items()]
    how = [
        tag("li", tag("strong", f"{name}: "), f"{one.get('words', '')}; {one['test']:,} rows tested", _learned(one))
        for name, one in firsts
    ]
    return join(
        (
            *(tag("p", remark, class_="warning") for remark in warnings),
            table(caption, ["Figure", *ENCODERS.values()], cells),
            details(
                "How each figure was made", tag("p", found["data"], class_="note"), tag("ul", *how, class_="plain")
            ),
            *(tag("p", remark, class_="note after") for remark in notes),
        )
    )


def _learned(one: dict[str, Any]) -> str:
    return f", {one['train']:,} labelled rows to learn from or to search" if one["train"] else ""


def in_order(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scores in the order of the protocols, whichever was measured first.

    Args:
        results: scores as dictionaries.
    """
    return sorted(
        results, key=lambda r: PROTOCOLS.index(r["protocol"]) if r["protocol"] in PROTOCOLS else len(PROTOCOLS)
    )


def label(result: dict[str, Any]) -> str:
    """What a score is called.

    Args:
        result: a score as a dictionary.
    """
    protocol = result["protocol"]
    if protocol == "knn":
        return "kNN accuracy"
    if protocol == "linear":
        return "Linear probe"
    if protocol == "few-label":
        count = result["labels_per_class"]
        return f"{count} label{'' if count == 1 else 's'} a class"
    if protocol == "pgd":
        return f"Attacked, pixels by {result['epsilon']:g}" if result["epsilon"] else "Attacked images, unchanged"
    if protocol == "corruptions":
        return f"Corruption: {result['corruption'].replace('_', ' ')}"
    if protocol == "lp-ft":
        return "LP-FT"
    return str(result["metric"]).replace("_", " ")


def figure(result: dict[str, Any] | None) -> str:
    """A score with its interval, shares in per cent; a dash for none.

    Args:
        result: a score as a dictionary, or None.
    """
    if result is None:
        return "–"
    value, low, high = (result[key] for key in ("value", "low", "high"))
    if result["metric"] in PLAIN:
        return with_interval(f"{value:.2f}", f"[{low:.2f}, {high:.2f}]")
    return with_interval(f"{100 * value:.1f} %", f"[{100 * low:.1f}, {100 * high:.1f}]")


def with_interval(value: str, ends: str) -> Html:
    """A figure with its interval, which never break inside.

    Args:
        value: the figure.
        ends: the interval.
    """
    return join((tag("span", value, class_="figure"), " ", tag("span", ends, class_="ends")))
