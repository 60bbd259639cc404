"""HTML in which text is always escaped: a plain string is text, only `Html` is markup."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VOID = {"br", "img", "meta"}


class Html(str):
    """A piece of markup, made by `tag`. A plain `str` beside it is text and gets escaped."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str | float | bool | None) -> Html:
    """Build one element.

    Args:
        name: of the element.
        *children: markup as `Html`, text as `str`; None is left out.
        **attributes: ``class_`` for class, ``aria_label`` for aria-label; None and False are left out.

    Example:
        >>> tag("p", "<b>", tag("em", "x"), class_="note")
        '<p class="note">&lt;b&gt;<em>x</em></p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name_of = key.rstrip("_").replace("_", "-")
        words.append(name_of if value is True else f'{name_of}="{escape(str(value))}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def join(parts: Iterable[str | None]) -> Html:
    """Put pieces one after the other, escaping those that are text.

    Args:
        parts: markup and text; None is left out.
    """
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts if part is not None))


def facts(rows: Iterable[tuple[str, str | None]]) -> Html:
    """A list of names and what they stand for.

    Args:
        rows: name and value; those with an empty value are left out.
    """
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows if value]
    return tag("dl", *pairs, class_="facts")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table that scrolls inside itself where the page is narrow.

    Args:
        caption: what it shows.
        columns: headings.
        rows: the cells of each row, as many as there are columns; the first is the row's heading.
    """
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    content = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def command(text: str) -> Html:
    """A line for the shell, selected whole by one click.

    Args:
        text: the command.
    """
    return tag("pre", tag("code", text), class_="command", tabindex="0")


def details(summary: str, *children: str) -> Html:
    """Content that is folded away at first.

    Args:
        summary: what it is.
        *children: the content.
    """
    return tag("details", tag("summary", summary), *children)


def number(value: float | None, digits: int = 3) -> str:
    """A figure for people; None, which stands for NaN in the log, in words.

    Args:
        value: the figure.
        digits: behind the point.
    """
    return "not a number" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """A share of 0..1 for people.

    Args:
        value: the share.
    """
    return "not a number" if value is None or math.isnan(value) else f"{100 * value:.1f} %"
