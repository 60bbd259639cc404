"""The end of a run: verdict, saved models, summary and report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk import runfolder
from kptk.errors import RunError
from kptk.runfolder import RunFolder
from kptk.training.doctor import diagnose
from kptk.training.health import MAX_ROWS, Verdict, judge
from kptk.training.plan import duration
from kptk.training.receipt import checksum
from kptk.training.run_parts import write_parts
from kptk.training.waiting import waiting_share, waiting_words

if TYPE_CHECKING:
    from kptk.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to.

    Args:
        folder: the run folder.
        verdict: its health in words.
        summary: the figures, as in `summary.json`.
    """

    folder: Path
    verdict: Verdict
    summary: dict[str, Any]


def finish(run: Run, folder: RunFolder, first_loss: float) -> Result:
    """Judge a trained run, write what it leaves behind and say so.

    Args:
        run: the run, trained.
        folder: its folder.
        first_loss: loss of the first step.

    Returns:
        The result.

    Raises:
        RunError: if a model cannot be saved.
    """
    records = folder.metrics()
    last = records[-1] if records else {}
    chance = run.model.chance_loss(run.train["batch_size"])
    verdict = judge(
        first_loss=first_loss,
        losses=[_number(record, "loss") for record in records],
        chance=chance,
        spread=_number(last, "feature_spread"),
        rank=_number(last, "effective_rank"),
        moved=checksum(run.model.backbone, trainable_only=True) != run.initial_checksum,
        loss_measures_learning=run.model.loss_measures_learning,
        collapsed_spread=run.model.collapsed_spread,
    )
    findings = diagnose(
        records,
        chance=chance,
        most_rank=min(len(run.source), MAX_ROWS, run.model.feature_dim),
        loss_measures_learning=run.model.loss_measures_learning,
        collapsed_spread=run.model.collapsed_spread,
    )
    backbone = run.model.final_backbone()
    save_models(run.model, folder, backbone)
    parts = write_parts(run, folder)
    seconds = sum(record["seconds"] for record in records)
    summary = {
        "run": str(folder.path),
        "status": verdict.status,
        "verdict": verdict.sentence,
        "findings": [finding.to_dict() for finding in findings],
        "epochs": last.get("epoch", 0),
        "steps": last.get("step", 0),
        "first_loss": first_loss if np.isfinite(first_loss) else None,
        "loss": last.get("loss"),
        "chance_loss": chance,
        "feature_spread": last.get("feature_spread"),
        "effective_rank": last.get("effective_rank"),
        "gradient_norm": last.get("gradient_norm"),
        "knn_accuracy": last.get("knn_accuracy"),
        "seconds": round(seconds, 1),
        "waiting_for_data": waiting_share(records),
        "backbone": str(folder.path / runfolder.BACKBONE),
        "backbone_checksum": checksum(backbone),
        **({"parts": [str(part.path) for part in parts]} if parts else {}),
        "report": str(folder.path / runfolder.REPORT),
    }
    folder.write(runfolder.SUMMARY, json.dumps(summary, indent=2))
    _report(run, folder, summary)
    run.tracking.end(summary)
    waited = waiting_words(waiting_share(records))
    run.reporter.line(" ".join(filter(None, (f"Trained for {duration(seconds)}.", waited, verdict.sentence))))
    for finding in findings:
        run.reporter.line(f"Doctor: {finding.sentence}")
    run.reporter.line(f"Backbone: {folder.path / runfolder.BACKBONE}")
    for part in parts:
        run.reporter.line(f"Part of it, to be used as a run: {part.path}")
    if (folder.path / runfolder.REPORT).exists():
        run.reporter.line(f"Report: {folder.path / runfolder.REPORT}")
    return Result(folder=folder.path, verdict=verdict, summary=summary)


def save_models(model: Any, folder: RunFolder, backbone: Any) -> None:
    """Save the backbone and the whole pretrainer, each whole or not at all.

    Args:
        model: the pretrainer.
        folder: the run folder.
        backbone: the backbone as the run keeps it.

    Raises:
        RunError: if the disk is full or read-only.
    """
    for name, part_of_it in ((runfolder.BACKBONE, backbone), (runfolder.PRETRAINER, model)):
        part = folder.path / f"part-{name}"
        try:
            part_of_it.save(part)
            part.replace(folder.path / name)
        except Exception as error:
            part.unlink(missing_ok=True)
            # h5py reports a full disk as a RuntimeError or BlockingIOError.
            raise RunError(f"could not save {folder.path / name}: {error}") from error


def _report(run: Run, folder: RunFolder, summary: dict[str, Any]) -> None:
    from kptk.training.report import write_report

    write_report(run, folder, summary)


def _number(record: dict[str, Any], key: str) -> float:
    """A recorded number; what JSON could not hold was written as null and is not a number."""
    value = record.get(key)
    return float("nan") if value is None else float(value)
