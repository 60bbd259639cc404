"""`report.html`: one page about a run that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from kptk import __version__, runfolder
from kptk.training.report import facts, parts, pictures, reconstructions
from kptk.training.report.html import Html, join, tag
from kptk.training.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from kptk.runfolder import RunFolder
    from kptk.training.run import Run

SECTIONS: tuple[tuple[str, str, Callable[[Page], Html | None]], ...] = (
    ("figures", "Key figures", parts.key_figures),
    ("curves", "Curves", parts.curves),
    ("health", "Health of the features", parts.health),
    ("views", "What the model is shown", pictures.views),
    ("reconstructions", "Reconstructions", reconstructions.reconstructions),
    ("map", "Map of the features", pictures.feature_map),
    ("neighbours", "Nearest neighbours", pictures.neighbours),
    ("data", "Data", facts.data),
    ("weights", "Weights", facts.weights),
    ("commands", "Repeat and judge", facts.commands),
    ("configuration", "Configuration", facts.configuration),
    ("environment", "Environment", facts.environment),
    ("references", "References to cite", facts.references),
)
"""Anchor, heading and maker of each section, in the order of the page; one that makes None is left out."""


def write_report(run: Run, folder: RunFolder, summary: dict[str, Any]) -> None:
    """Write `report.html`. What goes wrong in making it is said in a line: a report must not cost a model.

    Args:
        run: the finished run.
        folder: its folder.
        summary: its figures, as in `summary.json`.

    Raises:
        RunError: if the disk is full or read-only.
    """
    try:
        # A file name may hold bytes that are no text; they become question marks.
        page = render(Page(run, folder, summary)).encode("utf-8", "replace")
    except Exception as error:
        run.reporter.line(f"report could not be written: {type(error).__name__}: {error}")
        return
    folder.write(runfolder.REPORT, page)


def render(page: Page) -> str:
    """The whole page. A section that cannot be made says so in its place, and the others are there.

    Args:
        page: the run.
    """
    made = [(anchor, heading, _section(page, anchor, heading, make)) for anchor, heading, make in SECTIONS]
    links = [tag("li", tag("a", heading, href=f"#{anchor}")) for anchor, heading, section in made if section]
    template = Template(resources.files("kptk").joinpath("templates/report.html").read_text(encoding="utf-8"))
    script = resources.files("kptk").joinpath("templates/report.js").read_text(encoding="utf-8")
    config = page.run.config
    return template.substitute(
        title=join((f"{config.objective.id} on {config.data.id}: {page.summary['status']}",)),
        heading=_heading(page),
        verdict=parts.verdict(page),
        links=join(links),
        sections=join(section for _, _, section in made),
        made=join((f"Written by kptk {__version__} on {datetime.now().astimezone():%d %B %Y, %H:%M %Z}.",)),
        script=script,
        # The page may run this script and load nothing at all, whatever the data put into it.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _heading(page: Page) -> Html:
    config = page.run.config
    parts = [config.backbone.id, *([config.preprocessor.id] if config.preprocessor else []), config.data.id]
    return join(
        (
            tag("p", "Pre-training report", class_="kind"),
            tag("h1", config.objective.id),
            tag("p", "on ", " · ".join(parts), class_="parts"),
            tag("p", str(page.folder.path), class_="path"),
        )
    )


def _section(page: Page, anchor: str, heading: str, make: Callable[[Page], Html | None]) -> Html | None:
    content: Html | None
    try:
        content = make(page)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        page.run.reporter.line(f"report: '{heading}' could not be made: {reason}")
        content = tag("p", f"This part could not be made: {reason}", class_="note")
    if content is None:
        return None
    return tag("section", tag("h2", heading, id=anchor), content, aria_labelledby=anchor)
