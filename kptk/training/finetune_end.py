"""The end of a fine-tuning: best weights, saved model, figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk import runfolder
from kptk.errors import RunError
from kptk.runfolder import RunFolder
from kptk.training.checkpoint import Progress
from kptk.training.choice import BEST, load_weights
from kptk.training.plan import duration
from kptk.training.receipt import checksum
from kptk.training.report.tuned_report import write_tuned_report
from kptk.training.waiting import waiting_share, waiting_words

if TYPE_CHECKING:
    from kptk.training.finetune import FineTune


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneResult:
    """What a fine-tuning came to.

    Args:
        folder: the run folder.
        model: the fine-tuned model, with its best weights.
        summary: the figures, as in `summary.json`.
    """

    folder: Path
    model: Any
    summary: dict[str, Any]


def finish(run: FineTune, folder: RunFolder, progress: Progress) -> FineTuneResult:
    """Take the best weights, save the model, score it and say so.

    Args:
        run: the fine-tuning, trained.
        folder: its folder.
        progress: where it stands.
    """
    records = folder.metrics()
    losses = [record.get("loss") for record in records]
    diverged = not losses or losses[-1] is None
    choice = run.choice(folder)
    best_file = folder.checkpoints / BEST
    if choice is not None and choice.best is not None and best_file.exists():
        load_weights(best_file, run.model)
    save_model(run.model, folder)
    summary: dict[str, Any] = {
        "run": str(folder.path),
        "status": "diverged" if diverged else "done",
        "origin": run.config.origin,
        "strategy": run.config.strategy.id,
        "task": run.config.task.id,
        "phases": run.counts(),
        "rows": {
            "train": run.split.train.examples,
            "validation": run.split.validation.examples if run.split.validation else 0,
            "test": run.split.test.examples if run.split.test else 0,
        },
        "class_names": list(run.model.task.class_names),
        "epochs": records[-1]["epoch"] if records else 0,
        "steps": progress.step,
        "first_loss": progress.first_loss if np.isfinite(progress.first_loss) else None,
        "loss": losses[-1] if losses else None,
        "best_epoch": choice.best_epoch if choice else None,
        "validation": choice.best if choice else None,
        "test": run.scorer.score(run.split.test) if run.split.test else None,
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "waiting_for_data": waiting_share(records),
        "backbone_checksum": checksum(run.model.backbone),
        "checksum": checksum(run.model),
        "receipt": str(run.receipt),
        "model": str(folder.path / runfolder.MODEL),
    }
    summary |= run.model.report(run.split)
    folder.write(runfolder.SUMMARY, json.dumps(summary, indent=2))
    written = write_tuned_report(run, folder, summary)
    run.tracking.end(summary)
    for line in sentences(run, summary):
        run.reporter.line(line)
    if written:
        run.reporter.line(f"Report: {folder.path / runfolder.REPORT}")
    return FineTuneResult(folder=folder.path, model=run.model, summary=summary)


def sentences(run: FineTune, summary: dict[str, Any]) -> list[str]:
    """What to say at the end: the figures, each with its protocol.

    Args:
        run: the fine-tuning.
        summary: its figures.
    """
    metric = run.model.task.metric
    waited = waiting_words(summary["waiting_for_data"])
    lines = [f"Fine-tuned for {duration(summary['seconds'])}, {summary['steps']:,} steps. {waited}".rstrip()]
    if summary["status"] == "diverged":
        lines.append("The loss is not a number any more. Try a smaller learning rate: -o train.learning_rate=1e-4")
    if summary["validation"]:
        lines.append(
            f"Best epoch {summary['best_epoch']}: {metric} {summary['validation'][metric]:.4f} on "
            f"{summary['rows']['validation']:,} validation rows drawn from the training labels."
        )
    else:
        lines.append("There were no validation rows, so the last epoch is kept.")
    if summary["test"]:
        figures = ", ".join(f"{key} {value:.4f}" for key, value in summary["test"].items())
        lines.append(
            f"Test: {figures} on {summary['rows']['test']:,} rows, seed {run.train['seed']}; nothing was chosen by them."
        )
    lines.append(f"Model: {summary['model']}")
    return lines


def save_model(model: Any, folder: RunFolder) -> None:
    """Save the fine-tuned model, whole or not at all.

    Args:
        model: the model.
        folder: the run folder.

    Raises:
        RunError: if the disk is full or read-only.
    """
    part = folder.path / f"part-{runfolder.MODEL}"
    try:
        model.save(part)
        part.replace(folder.path / runfolder.MODEL)
    except Exception as error:
        part.unlink(missing_ok=True)
        # h5py reports a full disk as a RuntimeError or BlockingIOError.
        raise RunError(f"could not save {folder.path / runfolder.MODEL}: {error}") from error
