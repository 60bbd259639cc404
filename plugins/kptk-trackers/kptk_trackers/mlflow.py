"""`MLflow`: a run in a local MLflow store."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kptk.errors import UsageError
from kptk.training.tracker import Tracker, flat, run_name

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
"""MLflow counts its users over the network unless it is told not to, and tells of every table that it makes."""
ODD = re.compile(r"[^\w\-. :/]")
"""What a name of MLflow's may not have."""
DATABASE = "mlflow.db"
RUN_ID = "run_id"
LONGEST = 500
"""Characters of a parameter that every version of MLflow takes."""
AT_ONCE = 100
"""Parameters that MLflow takes in one call."""


class MLflow(Tracker):
    """Keeps configuration, figures and files as a run of an experiment.

    Look at it with ``mlflow ui --backend-store-uri sqlite:///RUN/trackers/mlflow/mlflow.db``.

    Args:
        experiment: name of the experiment that the run belongs to; made if it is not there.
        store: local folder of a store that several runs share; the run's own if empty.

    Raises:
        UsageError: if the store is the address of a server.

    Example:
        >>> MLflow(store="http://tracking.example").store
        Traceback (most recent call last):
        ...
        kptk.errors.UsageError: `store` must be a local folder. Received: 'http://tracking.example'.

    References:
        https://mlflow.org
    """

    def __init__(self, *, experiment: str = "kptk", store: str = "") -> None:
        if "://" in store:
            raise UsageError(f"`store` must be a local folder. Received: {store!r}.")
        self.experiment = experiment
        self.store = store
        self._client: Any = None
        self._run = ""

    def begin(self, config: Mapping[str, Any], folder: Path) -> None:
        """Open the store, and a run in it: the same one as before if the run is resumed."""
        os.environ.update(QUIET)
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.telemetry.client import set_telemetry_client

        set_telemetry_client()  # none, also where MLflow was imported before it was told
        store = (Path(self.store).expanduser() if self.store else folder).absolute()
        store.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=f"sqlite:///{store / DATABASE}")
        kept = folder / RUN_ID
        if kept.exists():
            self._run = kept.read_text(encoding="utf-8")
            self._client.update_run(self._run, status="RUNNING")
            return
        self._run = self._client.create_run(self._experiment(store), run_name=run_name(folder)).info.run_id
        kept.write_text(self._run, encoding="utf-8")
        params = [Param(ODD.sub("_", name), _text(value)[:LONGEST]) for name, value in flat(config)]
        for first in range(0, len(params), AT_ONCE):
            self._client.log_batch(self._run, params=params[first : first + AT_ONCE])

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the figures of an epoch."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        rows = [Metric(ODD.sub("_", name), value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._run, metrics=rows)

    def end(self, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Keep status and files, and close the run."""
        interrupted = summary.get("status") == "interrupted"
        for name in ("status", "verdict"):
            if name in summary:
                self._client.set_tag(self._run, name, str(summary[name]))
        for path in files:
            self._client.log_artifact(self._run, str(path))
        self._client.set_terminated(self._run, "KILLED" if interrupted else "FINISHED")

    def _experiment(self, store: Path) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        artifacts = (store / "artifacts").as_uri()  # without it they would go to the working folder
        return str(self._client.create_experiment(self.experiment, artifact_location=artifacts))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
