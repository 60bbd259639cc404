"""A chart of several series with intervals as inline SVG, and its legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kptk.training.report.charts import ticks
from kptk.training.report.html import Html, join, tag

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 16, 46
COLOURS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a series.

    Args:
        x: where it is along the axis.
        y: the value.
        low: lower end of its interval, or None.
        high: upper end, or None.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A named line.

    Args:
        name: what it is.
        points: its values, from left to right.
        dashed: whether it is something to compare with only.
        colour: number of its colour, so that it has the same one in several charts; None for its place in the chart.
    """

    name: str
    points: Sequence[Point]
    dashed: bool = False
    colour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Several series on one pair of axes.

    Args:
        title: what is drawn.
        series: the lines.
        x_name: what the horizontal axis is.
        places: the marks of the horizontal axis: where, and what is written there.
        show: how a value is written.
        floor: the vertical axis never reaches below.
        ceiling: nor above.
        small: whether it stands beside others, so that its letters must be larger.
    """

    title: str
    series: Sequence[Series]
    x_name: str
    places: Sequence[tuple[float, str]]
    show: Callable[[float], str]
    floor: float | None = None
    ceiling: float | None = None
    small: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the drawing."""
        return (400, 250) if self.small else (WIDTH, HEIGHT)

    def in_words(self) -> str:
        """The chart for those who do not see it."""
        names = dict(self.places)
        words = [
            f"{one.name}: " + ", ".join(f"{self.show(p.y)} at {names.get(p.x, f'{p.x:g}')}" for p in one.points[-12:])
            for one in self.series
        ]
        return f"{self.title} by {self.x_name}. {'; '.join(words)}."


def draw_lines(chart: Chart) -> Html:
    """Draw the chart with its legend below.

    Args:
        chart: what to draw; at least one series with a point.
    """
    points = [point for one in chart.series for point in one.points]
    ends = [end for p in points for end in (p.y, p.low, p.high) if end is not None]
    low, high = min(ends), max(ends)
    # Few seeds have intervals beyond what can be: they are cut at the axis.
    low = low if chart.floor is None else max(low, chart.floor)
    high = high if chart.ceiling is None else min(high, chart.ceiling)
    if high - low < 1e-9:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    rows = ticks(low, high, 5)
    width, height = chart.size
    xs = [x for x, _ in chart.places] + [point.x for point in points]
    first, span = min(xs), max(max(xs) - min(xs), 1e-9)
    inset = 22 if len(set(xs)) > 1 else (width - LEFT - RIGHT) / 2

    def x(value: float) -> float:
        return round(LEFT + inset + (width - LEFT - RIGHT - 2 * inset) * (value - first) / span, 1)

    def y(value: float) -> float:
        value = min(max(value, rows[0]), rows[-1])
        return round(height - BOTTOM - (height - TOP - BOTTOM) * (value - rows[0]) / (rows[-1] - rows[0]), 1)

    svg = tag(
        "svg",
        *_axes(chart, rows, x, y),
        *(_series(chart, one, index, x, y) for index, one in enumerate(chart.series)),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=chart.in_words(),
        class_="chart" if chart.small else "chart wide",
    )
    keys = [
        tag("li", tag("span", class_=f"key {_colour(s, i)}{' dashed' if s.dashed else ''}", aria_hidden="true"), s.name)
        for i, s in enumerate(chart.series)
    ]
    return join((svg, tag("ul", *keys, class_="keys")))


def _colour(one: Series, index: int) -> str:
    return f"c{(index if one.colour is None else one.colour) % COLOURS}"


def _axes(chart: Chart, rows: list[float], x: Callable[[float], float], y: Callable[[float], float]) -> list[Html]:
    width, height = chart.size
    parts = []
    for value in rows:
        parts.append(tag("line", x1=LEFT, x2=width - RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", chart.show(value), x=LEFT - 7, y=y(value) + 4, class_="axis", text_anchor="end"))
    for place, name in chart.places:
        parts.append(tag("text", name, x=x(place), y=height - BOTTOM + 18, class_="axis", text_anchor="middle"))
    middle = (LEFT + width - RIGHT) / 2
    parts.append(tag("text", chart.x_name, x=middle, y=height - 6, class_="axis", text_anchor="middle"))
    return parts


def _series(chart: Chart, one: Series, index: int, x: Callable[[float], float], y: Callable[[float], float]) -> Html:
    # Intervals side by side, so that none hides another.
    shift = 5.0 * (index - (len(chart.series) - 1) / 2) if any(p.low is not None for p in one.points) else 0.0
    shift = max(min(shift, 20.0), -20.0)
    path = "".join(f"{'M' if i == 0 else 'L'}{x(p.x) + shift:.1f} {y(p.y)}" for i, p in enumerate(one.points))
    parts = [tag("path", d=path, class_="line")]
    for p in one.points:
        across = round(x(p.x) + shift, 1)
        said = f"{one.name}: {chart.show(p.y)}"
        if p.low is not None and p.high is not None:
            said += f" [{chart.show(p.low)}, {chart.show(p.high)}]"
            parts.append(tag("line", x1=across, x2=across, y1=y(p.low), y2=y(p.high), class_="span"))
        if len(one.points) <= 40:
            parts.append(tag("circle", tag("title", said), cx=across, cy=y(p.y), r=4, class_="dot"))
    return tag("g", *parts, class_=f"series {_colour(one, index)}{' dashed' if one.dashed else ''}")
