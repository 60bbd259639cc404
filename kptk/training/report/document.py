"""A page of headings and sections, complete in itself: what every kind of report is made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from string import Template
from typing import Any

from kptk import __version__
from kptk.training.report.html import Html, join, tag
from kptk.training.reporter import Reporter

Maker = Callable[[Any], Html | None]
Sections = Sequence[tuple[str, str, Maker]]
"""Anchor, heading and maker of each section, in the order of the page; one that makes None is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What stands on a page.

    Args:
        title: of the window.
        kind: what kind of report this is, in small letters above the heading.
        heading: the main heading.
        parts: a line below it.
        path: where the run is.
        banner: what became of it.
        sections: anchor, heading and content.
    """

    title: str
    kind: str
    heading: str
    parts: str
    path: str
    banner: Html | None
    sections: Sequence[tuple[str, str, Html]]


def render_document(document: Document) -> str:
    """The whole page as HTML.

    Args:
        document: what stands on it.
    """
    links = [tag("li", tag("a", heading, href=f"#{anchor}")) for anchor, heading, _ in document.sections]
    template = Template(resources.files("kptk").joinpath("templates/report.html").read_text(encoding="utf-8"))
    script = resources.files("kptk").joinpath("templates/report.js").read_text(encoding="utf-8")
    sections = [
        tag("section", tag("h2", heading, id=anchor), content, aria_labelledby=anchor)
        for anchor, heading, content in document.sections
    ]
    return template.substitute(
        title=join((document.title,)),
        heading=join(
            (
                tag("p", document.kind, class_="kind"),
                tag("h1", document.heading),
                tag("p", document.parts, class_="parts"),
                tag("p", document.path, class_="path"),
            )
        ),
        verdict=document.banner or "",
        links=join(links),
        sections=join(sections),
        made=join((f"Written by kptk {__version__} on {datetime.now().astimezone():%d %B %Y, %H:%M %Z}.",)),
        script=script,
        # The page may run this script and load nothing at all, whatever the data put into it.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def make_sections(page: Any, sections: Sections, reporter: Reporter) -> list[tuple[str, str, Html]]:
    """Make every section. One that cannot be made says so in its place, and the others are there.

    Args:
        page: what the makers look at.
        sections: the makers.
        reporter: hears what could not be made.
    """
    made = []
    for anchor, heading, make in sections:
        content: Html | None
        try:
            content = make(page)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            reporter.line(f"report: '{heading}' could not be made: {reason}")
            content = tag("p", f"This part could not be made: {reason}", class_="note")
        if content is not None:
            made.append((anchor, heading, content))
    return made
