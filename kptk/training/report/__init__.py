"""`report.html`: one page about a run that needs nothing but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kptk import runfolder
from kptk.training.report import attention, evaluations, facts, occlusion, parts, pictures, reconstructions
from kptk.training.report.document import Document, Sections, make_sections, render_document
from kptk.training.report.page import Page

if TYPE_CHECKING:
    from kptk.runfolder import RunFolder
    from kptk.training.run import Run

SECTIONS: Sections = (
    ("figures", "Key figures", parts.key_figures),
    ("evaluation", "Evaluation", evaluations.evaluation),
    ("curves", "Curves", parts.curves),
    ("health", "Health of the features", parts.health),
    ("views", "What the model is shown", pictures.views),
    ("reconstructions", "Reconstructions", reconstructions.reconstructions),
    ("map", "Map of the features", pictures.feature_map),
    ("neighbours", "Nearest neighbours", pictures.neighbours),
    ("looks", "Where it looks", occlusion.encoder),
    ("attention", "Attention", attention.attention),
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
    """The whole page.

    Args:
        page: the run.
    """
    config = page.run.config
    named = [config.backbone.id, *([config.preprocessor.id] if config.preprocessor else []), config.data.id]
    return render_document(
        Document(
            title=f"{config.objective.id} on {config.data.id}: {page.summary['status']}",
            kind="Pre-training report",
            heading=config.objective.id,
            parts="on " + " · ".join(named),
            path=str(page.folder.path),
            banner=parts.verdict(page),
            sections=make_sections(page, SECTIONS, page.run.reporter),
        )
    )
