"""What is watched while a run trains: the health of its features, the first loss that is not a number, a line an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kptk import runfolder
from kptk.training.health import MAX_ROWS, HealthCallback
from kptk.training.nan_capture import NanCapture

if TYPE_CHECKING:
    from kptk.runfolder import RunFolder
    from kptk.training.run import Run


def health_callback(run: Run) -> HealthCallback:
    """Measures the health of the features on fixed rows of the training data.

    Args:
        run: the run.
    """
    count = min(len(run.source), MAX_ROWS)
    rows = np.random.default_rng([run.train["seed"], 11]).choice(len(run.source), size=count, replace=False)
    known = run.labels and run.source.labels is not None
    return HealthCallback(
        run.source.read(rows),
        labels=run.source.labels[rows] if known and run.source.labels is not None else None,
        stop_on_collapse=run.train["stop_on"] == "collapse",
    )


def nan_capture(run: Run, folder: RunFolder, start: int) -> NanCapture:
    """Keeps the batch at which the loss stops being a number.

    Args:
        run: the run.
        folder: where to.
        start: steps done before.
    """
    return NanCapture(
        start,
        run.per_epoch,
        path=folder.path / runfolder.NAN_BATCH,
        source=run.source,
        batch_size=run.train["batch_size"],
        seed=run.train["seed"],
        labels=run.source.labels if run.labels else None,
        say=run.reporter.line,
    )


def epoch_line(run: Run, record: dict[str, Any]) -> str:
    """The figures of an epoch in one line.

    Args:
        run: the run.
        record: as in the log.
    """
    parts = [f"epoch {record['epoch']}/{run.train['epochs']}"]
    if "stage" in record:
        parts.append(f"stage {record['stage']}/{run.model.stages}")
    parts.append(f"loss {_shown(record.get('loss'), 4)}")
    own = [metric.name for metric in run.model.metrics if metric.name != "loss"]
    parts += [f"{name} {_shown(record.get(name), 3)}" for name in own]
    if record.get("knn_accuracy") is not None:
        parts.append(f"kNN {100 * record['knn_accuracy']:.1f} %")
    parts.append(f"spread {_shown(record.get('feature_spread'), 2)}")
    parts.append(f"rank {_shown(record.get('effective_rank'), 1)}")
    if record.get("gradient_norm") is not None:
        parts.append(f"gradient {record['gradient_norm']:.3g}")
    parts.append(f"{record['images_per_second']:,.0f}/s")
    return "  ".join(parts)


def _shown(value: float | None, digits: int) -> str:
    return "nan" if value is None else f"{value:.{digits}f}"
