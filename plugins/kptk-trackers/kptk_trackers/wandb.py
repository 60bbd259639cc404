"""`WandB`: an offline run of Weights & Biases."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kptk.training.tracker import Tracker, flat, run_name

QUIET = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
"""Without the second one its own process may report errors to its makers, offline or not."""
RUN_ID = "run_id"


class WandB(Tracker):
    """Writes an offline run. Nothing is sent; ``wandb sync RUN/trackers/wandb/wandb/offline-run-*`` is yours to call.

    Args:
        project: name of the project that the run belongs to.

    Example:
        >>> WandB(project="digits").project
        'digits'

    References:
        https://docs.wandb.ai
    """

    def __init__(self, *, project: str = "kptk") -> None:
        self.project = project
        self._run: Any = None

    def begin(self, config: Mapping[str, Any], folder: Path) -> None:
        """Open an offline run; of a resumed one a further part with the same id."""
        private = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
        os.environ.update(QUIET | private)
        import wandb

        kept = folder / RUN_ID
        if not kept.exists():
            kept.write_text(uuid.uuid4().hex[:8], encoding="utf-8")
        self._run = wandb.init(
            project=self.project,
            name=run_name(folder),
            id=kept.read_text(encoding="utf-8"),
            dir=str(folder),
            mode="offline",
            config=dict(flat(config)),
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the figures of an epoch."""
        self._run.log(dict(metrics), step=step)

    def end(self, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Keep result and files, and close the run."""
        self._run.summary.update(dict(flat(summary)))
        for path in files:
            shutil.copy(path, self._run.dir)
        self._run.finish(exit_code=1 if summary.get("status") == "interrupted" else 0)
