"""Charts of a report as inline SVG. Their colours come from the page's style sheet: light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kptk.training.report.html import Html, join, tag

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 62, 14, 42
MOST_DOTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line to compare with.

    Args:
        value: where it is.
        name: what it is, written on it.
    """

    value: float
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One figure over the epochs.

    Args:
        title: what it is.
        points: epoch and value; None stands for what is not a number.
        show: how a value is written.
        tick: how the numbers of the axis are written; plain decimals by default.
        level: a line to compare with.
        start: value before the first epoch ended, drawn open at epoch 0.
        floor: the axis reaches at least down to here.
        ceiling: the axis reaches at least up to here.
    """

    title: str
    points: Sequence[tuple[int, float | None]]
    show: Callable[[float], str]
    tick: Callable[[float], str] | None = None
    level: Level | None = None
    start: float | None = None
    floor: float | None = None
    ceiling: float | None = None

    @property
    def known(self) -> list[tuple[float, float]]:
        """The points that are numbers, the start among them."""
        first = [(0.0, self.start)] if self.start is not None else []
        points = [*first, *((float(epoch), value) for epoch, value in self.points)]
        return [(x, y) for x, y in points if y is not None and math.isfinite(y)]

    @property
    def broken_at(self) -> int | None:
        """The first epoch whose value is not a number."""
        return next((e for e, value in self.points if value is None or not math.isfinite(value)), None)

    def in_words(self) -> str:
        """The chart for those who do not see it."""
        known = self.known
        if not known:
            return f"{self.title}: no epoch has a number."
        words = f"{self.title}: {self.show(known[0][1])} at epoch {known[0][0]:g}"
        if len(known) > 1:
            values = [y for _, y in known]
            words += f", {self.show(known[-1][1])} at epoch {known[-1][0]:g}"
            words += f"; lowest {self.show(min(values))}, highest {self.show(max(values))}"
        if self.level:
            words += f"; {self.level.name}: {self.show(self.level.value)}"
        if self.broken_at is not None:
            words += f"; not a number from epoch {self.broken_at}"
        return f"{words}."


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers that cover a range.

    Args:
        low: its lower end.
        high: its upper end.
        most: how many steps at most.
        whole: whether they must be integers.
    """
    from matplotlib.ticker import MaxNLocator

    return [float(t) for t in MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)]


def draw(curve: Curve) -> Html:
    """Draw a curve.

    Args:
        curve: what to draw.
    """
    known = curve.known
    values = [y for _, y in known]
    values += [v for v in (curve.level.value if curve.level else None, curve.floor, curve.ceiling) if v is not None]
    values = values or [0.0, 1.0]
    low, high = min(values), max(values)
    if high - low < 1e-12:
        below = 0.0 if low == curve.floor else 0.5 * (abs(low) or 1)
        low, high = low - below, high + 0.5 * (abs(high) or 1)
    rows = ticks(low, high, 4)
    epochs = max([epoch for epoch, _ in curve.points], default=1)

    def x(epoch: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * epoch / epochs, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - rows[0]) / (rows[-1] - rows[0]), 1)

    return tag(
        "svg",
        _axes(rows, curve.tick or _decimals(rows), epochs, x, y),
        _level(curve, x, y, epochs) if curve.level else None,
        _line(curve, x, y),
        _last(curve, x, y) if known else None,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=curve.in_words(),
        class_="chart",
    )


Scale = Callable[[float], float]


def _text(x: float, y: float, content: str, class_: str, anchor: str = "middle") -> Html:
    return tag("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def _axes(rows: list[float], tick: Callable[[float], str], epochs: int, x: Scale, y: Scale) -> Html:
    parts = []
    for value in rows:
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(_text(LEFT - 7, y(value) + 4, tick(value), "axis", "end"))
    below = [epoch for epoch in ticks(0, epochs, 6, whole=True) if 0 <= epoch <= epochs]
    parts += [_text(x(epoch), HEIGHT - BOTTOM + 17, f"{epoch:,.0f}", "axis") for epoch in below]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "epoch", "axis"))
    return join(parts)


def _decimals(rows: list[float]) -> Callable[[float], str]:
    """How to write the numbers of an axis so that neighbours differ."""
    step = rows[1] - rows[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1  # 2.5 times a power of ten
    return scientific if digits > 4 or max(map(abs, rows)) >= 1e6 else lambda value: f"{value:,.{digits}f}"


def scientific(value: float) -> str:
    """A very small or large number in little space: ``2.5e-4``.

    Args:
        value: the number.
    """
    lead, _, power = f"{value:.1e}".partition("e")
    return f"{lead}e{int(power)}" if value else "0"


def _level(curve: Curve, x: Scale, y: Scale, epochs: int) -> Html:
    assert curve.level is not None
    height = y(curve.level.value)
    # Above the line, unless that is above the chart.
    label = height - 6 if height > TOP + 14 else height + 15
    return join(
        (
            tag("line", x1=x(0), x2=WIDTH - RIGHT, y1=height, y2=height, class_="level"),
            _text(
                x(epochs) - 4,
                label,
                f"{curve.level.name} {curve.show(curve.level.value)}",
                "level-name",
                "end",
            ),
        )
    )


def _line(curve: Curve, x: Scale, y: Scale) -> Html:
    pen, path = "M", []
    start: list[tuple[int, float | None]] = [(0, curve.start)] if curve.start is not None else []
    for epoch, value in (*start, *curve.points):
        if value is None or not math.isfinite(value):
            pen = "M"  # a gap
            continue
        path.append(f"{pen}{x(epoch)} {y(value)}")
        pen = "L"
    parts = [tag("path", d="".join(path), class_="line")] if path else []
    known = curve.known
    for place, height in known if len(known) <= MOST_DOTS else known[-1:]:
        first = curve.start is not None and place == 0
        title = tag("title", f"{'first step' if first else f'epoch {place:g}'}: {curve.show(height)}")
        parts.append(tag("circle", title, cx=x(place), cy=y(height), r=3.5, class_="open" if first else "dot"))
    return join(parts)


def _last(curve: Curve, x: Scale, y: Scale) -> Html:
    epoch, value = curve.known[-1]
    return _text(x(epoch) + 8, y(value) + 4, curve.show(value), "last", "start")
