"""The report of a fine-tuning."""

from __future__ import annotations

from typing import Any

from kptk import runfolder
from kptk.errors import RunError
from kptk.runfolder import RunFolder
from kptk.training.report import attention, confusion, facts, occlusion, pictures, tuned_parts
from kptk.training.report.document import Document, Sections, make_sections, render_document
from kptk.training.report.tuned import Tuned, TunedPage

SECTIONS: Sections = (
    ("figures", "Key figures", tuned_parts.key_figures),
    ("curves", "Curves", tuned_parts.curves),
    ("confusion", "Confusion matrix", confusion.confusion_matrix),
    ("worst", "Worst confusions", confusion.worst),
    ("classes", "Class by class", confusion.per_class),
    ("looks", "Where it looks", occlusion.classifier),
    ("attention", "Attention", attention.attention),
    ("map", "Map of the features", pictures.feature_map),
    ("neighbours", "Nearest neighbours", pictures.neighbours),
    ("receipt", "What was transferred", tuned_parts.receipt),
    ("data", "Data", tuned_parts.data),
    ("commands", "Repeat and use", tuned_parts.commands),
    ("configuration", "Configuration", tuned_parts.configuration),
    ("environment", "Environment", facts.environment),
    ("references", "References to cite", tuned_parts.references),
)


def render_tuned(page: TunedPage) -> str:
    """The whole page.

    Args:
        page: the fine-tuning.
    """
    config = page.run.config
    return render_document(
        Document(
            title=f"{config.task.id} on {config.data.id}, {config.strategy.id}",
            kind="Fine-tuning report",
            heading=f"{config.task.id} by {config.strategy.id}",
            parts=f"on {config.data.id}, from {config.origin}",
            path=str(page.folder.path),
            banner=tuned_parts.verdict(page),
            sections=make_sections(page, SECTIONS, page.run.reporter),
        )
    )


def write_tuned_report(run: Any, folder: RunFolder, summary: dict[str, Any]) -> bool:
    """Write `report.html` of a fine-tuning that has just ended. What goes wrong is said in a line: the model is there.

    Args:
        run: the `FineTune`.
        folder: its folder.
        summary: its figures.

    Returns:
        Whether it was written.
    """
    try:
        tuned = Tuned(model=run.model, config=run.config, source=run.source, split=run.split, reporter=run.reporter)
        page = render_tuned(TunedPage(tuned, folder, summary)).encode("utf-8", "replace")
        folder.write(runfolder.REPORT, page)
    except RunError:
        raise
    except Exception as error:
        run.reporter.line(f"report could not be written: {type(error).__name__}: {error}")
        return False
    return True
