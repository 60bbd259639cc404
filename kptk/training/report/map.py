"""A map of features in two dimensions as inline SVG, to be explored with mouse, finger or keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kptk.training.report.html import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH, NARROWEST, LOWEST, HIGHEST, MARGIN = 720.0, 420.0, 360.0, 560.0, 24.0
COLOURS = 10
"""Classes with a colour of their own: the largest; the others share grey."""
PICTURE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Where every row lies, and what it is.

    Args:
        places: shape ``(rows, 2)``.
        words: what each row is, for its tooltip.
        labels: class of each row, or None.
        class_names: names of the classes.
        pictures: addresses of some rows' thumbnails, by row; drawn where there are no classes to colour.
    """

    places: NDArray[np.float64]
    words: Sequence[str]
    labels: NDArray[np.int64] | None
    class_names: Sequence[str]
    pictures: dict[int, str]


def spaced(places: NDArray[np.float64], across: int = 12) -> list[int]:
    """Rows far enough apart that their thumbnails do not cover each other: one a cell of a grid.

    Args:
        places: shape ``(rows, 2)``.
        across: cells along the longer axis.
    """
    side = max(float(np.ptp(places, axis=0).max()) / across, 1e-12)
    offsets = (places - places.min(axis=0)) / side
    cells = np.floor(offsets)
    distance = np.abs(offsets - cells - 0.5).max(axis=1)
    best: dict[tuple[float, float], int] = {}
    for row in np.argsort(distance, kind="stable"):
        best.setdefault((float(cells[row, 0]), float(cells[row, 1])), int(row))
    return sorted(best.values())


def in_order(labels: NDArray[np.int64] | None, rows: int) -> list[int]:
    """The order in which rows are drawn: class after class. The thumbnails of the page are in the same order.

    Args:
        labels: class of each row, or None.
        rows: how many there are.
    """
    return list(range(rows)) if labels is None else [int(row) for row in np.argsort(labels, kind="stable")]


def draw_map(content: Map) -> tuple[Html, Html | None]:
    """Draw the map.

    Args:
        content: what is on it.

    Returns:
        The SVG and the legend, None where there are no classes.
    """
    xy, width, height = _scaled(content.places)
    colours = _colours(content.labels)
    groups, names = [], []
    for number in [None] if content.labels is None else sorted(set(content.labels.tolist())):
        rows = range(len(xy)) if number is None else np.flatnonzero(content.labels == number).tolist()
        dots = [tag("circle", tag("title", content.words[i]), cx=xy[i, 0], cy=xy[i, 1], r=4) for i in rows]
        colour = "other" if number is None else colours[number]
        groups.append(tag("g", *dots, class_=colour, data_class=None if number is None else str(number)))
        if number is not None:
            x, y = (round(float(v), 1) for v in np.median(xy[rows], axis=0))
            name = content.class_names[number]
            names.append(tag("text", name[:24], x=x, y=y + 5, class_=f"name {colour}", text_anchor="middle"))
    thumbs = [
        tag(
            "image",
            href=uri,
            x=xy[row, 0] - PICTURE / 2,
            y=xy[row, 1] - PICTURE / 2,
            width=PICTURE,
            height=PICTURE,
        )
        for row, uri in content.pictures.items()
    ]
    # Direct labels while they can be told apart; the legend names the rest.
    shown = names if len(names) <= 2 * COLOURS else None
    svg = tag(
        "svg",
        *groups,
        tag("g", *thumbs, class_="thumbs", aria_hidden="true") if thumbs else None,
        tag("g", *shown, aria_hidden="true") if shown else None,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        tabindex="0",
        aria_label=_in_words(content),
    )
    return svg, _legend(content, colours) if content.labels is not None else None


def _scaled(places: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Put places on the paper, both axes on one scale."""
    low, size = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    height = float(np.clip((WIDTH - 2 * MARGIN) * size[1] / size[0] + 2 * MARGIN, LOWEST, HIGHEST))
    scale = min((WIDTH - 2 * MARGIN) / size[0], (height - 2 * MARGIN) / size[1])
    width = float(max(size[0] * scale + 2 * MARGIN, NARROWEST))
    centred = (places - low - size / 2) * scale * np.array([1, -1])
    return np.round(centred + np.array([width / 2, height / 2]), 1), round(width), round(height)


def _colours(labels: NDArray[np.int64] | None) -> dict[int, str]:
    """The style of each class: the largest have a colour of their own."""
    if labels is None:
        return {}
    numbers, counts = np.unique(labels, return_counts=True)
    largest = sorted(numbers[np.argsort(-counts, kind="stable")][:COLOURS].tolist())
    return {n: f"c{largest.index(n)}" if n in largest else "other" for n in numbers.tolist()}


def _legend(content: Map, colours: dict[int, str]) -> Html:
    assert content.labels is not None
    items = [
        tag(
            "button",
            tag("span", class_=f"swatch {colour}", aria_hidden="true"),
            content.class_names[number],
            tag("small", f"{int((content.labels == number).sum()):,}"),
            type="button",
            aria_pressed="false",
            data_class=str(number),
        )
        for number, colour in colours.items()
    ]
    return join((tag("p", "Classes (press to single one out):", class_="note"), tag("div", *items, class_="legend")))


def _in_words(content: Map) -> str:
    classes = ""
    if content.labels is not None:
        classes = f" coloured by {len(set(content.labels.tolist()))} classes"
    return f"Map of {len(content.places):,} rows{classes}. Arrow keys go from row to row, from left to right."
