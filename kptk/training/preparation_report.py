"""What a comparison of preparations found: in two sentences, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kptk.training.preparation import MODELS, SPOILT_ROWS, Result


def explained(results: Sequence[Result], *, classes: bool) -> tuple[str, str]:
    """Two sentences that say what the comparison found, from its figures.

    Args:
        results: of `compare`.
        classes: whether the scores are accuracies.
    """
    unit, scale, digits = ("points of accuracy", 100.0, 1) if classes else ("of R2", 1.0, 3)
    best = max(results, key=lambda way: way.interval("mlp")[0])
    mean, half = best.interval("mlp")
    by_scaling = _spread(results, "scaling")
    by_encoding = _spread(results, "encoding")
    matters = "scaling" if by_scaling >= by_encoding else "encoding"
    linear = max(results, key=lambda way: way.interval("linear")[0])
    figure = f"{scale * mean:.{digits}f} ± {scale * half:.{digits}f}{' %' if classes else ''}"
    large, small = (scale * pick(by_scaling, by_encoding) for pick in (max, min))
    first = (
        f"The perceptron does best with {best.name} ({figure}, {best.features} features) and the linear model with "
        f"{linear.name}; the choice of the {matters} makes {large:.2g} {unit} between the best and the worst on average, the "
        f"other choice {small:.2g}."
    )
    drops = {
        scaling: np.mean([way.drop(m) for way in results if way.scaling == scaling for m in MODELS])
        for scaling in dict.fromkeys(way.scaling for way in results)
    }
    worst, least = (pick(drops, key=lambda key: drops[key]) for pick in (max, min))
    second = (
        f"Outliers in {100 * SPOILT_ROWS:.0f} % of the training rows cost {worst} {scale * drops[worst]:.2g} {unit} and {least} "
        f"{scale * drops[least]:.2g}."
        if len(drops) > 1
        else "There are no numbers, so no outliers were planted."
    )
    return first, second


def _spread(results: Sequence[Result], attribute: str) -> float:
    """Best minus worst mean score of the perceptron among the values of a choice."""
    means: dict[str, list[float]] = {}
    for way in results:
        means.setdefault(getattr(way, attribute), []).append(way.interval("mlp")[0])
    averages = [float(np.mean(values)) for values in means.values()]
    return max(averages) - min(averages)


def plot(results: Sequence[Result], path: Any, title: str, *, classes: bool) -> None:
    """Draw scores with intervals, and what outliers cost.

    Args:
        results: of `compare`.
        path: a ``.png`` file.
        title: of the figure.
        classes: whether the scores are accuracies.
    """
    from matplotlib.figure import Figure

    scale = 100.0 if classes else 1.0
    ordered = sorted(results, key=lambda way: way.interval("mlp")[0])
    places = np.arange(len(ordered))
    figure = Figure(figsize=(10, 1.6 + 0.27 * len(ordered)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for offset, model, colour, word in (
        (-0.15, "linear", "#c75400", "linear model"),
        (0.15, "mlp", "#1f66c9", "perceptron"),
    ):
        means, halves = zip(*(way.interval(model) for way in ordered), strict=True)
        left.errorbar(
            scale * np.array(means),
            places + offset,
            xerr=scale * np.nan_to_num(halves),
            fmt="o",
            ms=4,
            color=colour,
            label=word,
        )
        right.barh(places + offset, [scale * way.drop(model) for way in ordered], height=0.28, color=colour)
    left.set_yticks(places, [f"{way.name}  ({way.features})" for way in ordered], fontsize=8)
    left.set_xlabel("test accuracy in %, mean and 95 % interval" if classes else "test R2, mean and 95 % interval")
    right.set_xlabel(f"lost by outliers in {100 * SPOILT_ROWS:.0f} % of the training rows")
    left.grid(axis="x", alpha=0.3)
    right.grid(axis="x", alpha=0.3)
    left.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120, format="png")
