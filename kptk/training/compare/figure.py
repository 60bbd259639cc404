"""The label-efficiency figure: accuracy against labels per class, with intervals."""

from __future__ import annotations

import io
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""
MARKERS = "osD^vP*X"


def draw_figure(summary: dict[str, Any], title: str) -> bytes:
    """Draw accuracy with its interval over labels per class, a line for each arm; controls in grey.

    Args:
        summary: from `kptk.training.compare.summary.summarise`.
        title: written above.

    Returns:
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = summary["accuracy"]
    labels = list(dict.fromkeys(row["labels_per_class"] for row in rows))
    places = {label: index for index, label in enumerate(labels)}
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = list(dict.fromkeys(row["arm"] for row in rows if not row["control"]))
    for index, name in enumerate(names):
        # Intervals side by side, so that none hides another.
        shift = 0.06 * (index - (len(names) - 1) / 2) if len(names) > 1 else 0.0
        _line(axes, [row for row in rows if row["arm"] == name and not row["control"]], places, shift, index)
    for style, name in zip(("--", ":"), dict.fromkeys(row["arm"] for row in rows if row["control"]), strict=False):
        own = [row for row in rows if row["arm"] == name and row["control"]]
        axes.plot(
            [places[row["labels_per_class"]] for row in own],
            [100 * row["mean"] for row in own],
            style,
            color="#777777",
            linewidth=1.2,
            label={"raw": "raw inputs", "random": "random encoder"}.get(name.rpartition("/")[2], name),
        )
    axes.set_xticks(range(len(labels)), [str(label) for label in labels])
    axes.set_xlim(-0.4, len(labels) - 0.6)
    axes.set_xlabel("labels per class")
    axes.set_ylabel("test accuracy, %")
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if rows:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    lowest, highest = min((row["low"] for row in rows), default=0.0), max((row["high"] for row in rows), default=1.0)
    axes.set_ylim(max(100 * lowest - 3, 0), min(100 * highest + 3, 101))  # few seeds have intervals beyond 0 and 100 %
    seeds = max((row["seeds"] for row in rows), default=0)
    note = f"mean and 95 % interval over {seeds} seeds" if seeds > 1 else "one seed, no interval"
    axes.set_title(f"{title}\n{note}", fontsize=10, loc="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _line(axes: Any, rows: list[dict[str, Any]], places: dict[Any, int], shift: float, index: int) -> None:
    means = [100 * row["mean"] for row in rows]
    errors = [
        [mean - 100 * row["low"] for mean, row in zip(means, rows, strict=True)],
        [100 * row["high"] - mean for mean, row in zip(means, rows, strict=True)],
    ]
    axes.errorbar(
        [places[row["labels_per_class"]] + shift for row in rows],
        means,
        yerr=errors,
        label=rows[0]["arm"],
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        capsize=3,
    )
