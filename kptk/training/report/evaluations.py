"""Section of a report with what `kptk evaluate` found, beside the controls and with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kptk.training.evaluation_file import read
from kptk.training.report.html import Html, join, table, tag

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
    results = found["results"]
    warnings = [remark for remark in found.get("remarks", ()) if remark.startswith("Warning")]
    notes = [remark for remark in found.get("remarks", ()) if not remark.startswith("Warning")]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for result in results:
        rows.setdefault((result["protocol"], label(result)), {})[result["encoder"]] = result
    cells = [
        [name, *(figure(by.get(encoder)) for encoder in ENCODERS), next(iter(by.values())).get("words", "")]
        for (_, name), by in rows.items()
    ]
    caption = (
        f"On {data}, {found.get('when', '')}: {found['data']}; seed {results[0]['seed']}. In brackets 95 % intervals."
    )
    return join(
        (
            *(tag("p", remark, class_="warning") for remark in warnings),
            table(caption, ["Figure", *ENCODERS.values(), "Protocol"], cells),
            *(tag("p", remark, class_="note") for remark in notes),
        )
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
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
