"""The folder of a run: what is in it, and how it is written so that nothing half-made stays behind."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from kptk.errors import InputError, RunError, UsageError

CONFIG = "config.toml"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
MODEL = "model.keras"
BACKBONE = "backbone.keras"
PRETRAINER = "pretrainer.keras"
PREPROCESSOR = "preprocessor.json"
REPORT = "report.html"
EVALUATIONS = "evaluations.json"
NAN_BATCH = "nan_batch.npz"


class RunFolder:
    """Paths of a run and safe ways to write them.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def default_path(cls, plugin: str) -> Path:
        """``runs/<plugin>-<date>-<time>`` under the working folder.

        Args:
            plugin: name of the recipe's plugin.
        """
        return Path("runs") / f"{plugin}-{datetime.now():%Y%m%d-%H%M%S}"

    @classmethod
    def check_free(cls, path: Path) -> None:
        """Refuse a folder that cannot become a new run, before any work is done.

        Args:
            path: where the run is to go.

        Raises:
            UsageError: if something is there already.
            RunError: if it cannot be written.
        """
        if (path / CONFIG).exists():
            raise UsageError(
                f"{path} already holds a run. Go on with it: {cls(path).resume_command}; or name another --out."
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} exists and is not an empty folder. Name another --out.")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        try:
            # Trying is the only sure answer: root, read-only mounts and odd file systems fool permission bits.
            Path(tempfile.mkdtemp(prefix=".kptk-", dir=parent)).rmdir()
        except OSError as error:
            raise RunError(
                f"cannot write to {parent} ({error.strerror or error}), so the run cannot be kept in {path}. "
                "Name another --out."
            ) from None

    @classmethod
    def create(cls, path: Path, config: str, environment: dict[str, Any]) -> RunFolder:
        """Make a run folder in one step: either it holds its configuration or it is not there.

        Args:
            path: where.
            config: the resolved configuration as TOML.
            environment: versions, plugins, seeds, data.

        Raises:
            RunError: if the disk is full or read-only.
        """
        cls.check_free(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        except OSError as error:
            raise RunError(f"could not make the run folder {path}: {error.strerror or error}") from error
        try:
            (building / CONFIG).write_text(config, encoding="utf-8")
            (building / ENVIRONMENT).write_text(json.dumps(environment, indent=2), encoding="utf-8")
            (building / METRICS).touch()
            building.chmod(0o755)
            if path.exists():
                path.rmdir()
            building.rename(path)
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise RunError(f"could not make the run folder {path}: {error.strerror or error}") from error
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            InputError: if it is not one.
        """
        folder = cls(path)
        if not folder.path.exists():
            raise InputError(f"no run folder at {path}.")
        if not (folder.path / CONFIG).is_file():
            raise InputError(
                f"{path} is not a run folder: it has no {CONFIG}. Make one: kptk train --plugin contrastive --out RUN"
            )
        return folder

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def backbone(self) -> Path:
        """The trained backbone.

        Raises:
            InputError: if the run has not got so far, or is a fine-tuning.
        """
        if self.finetuned:
            raise InputError(
                f"{self.path} is a fine-tuned model, which has predictions, not features. "
                f"See: kptk predict {self.path} --data PATH -o out.csv; kptk evaluate {self.path} --data PATH"
            )
        return self._made(BACKBONE)

    @property
    def model(self) -> Path:
        """The fine-tuned model.

        Raises:
            InputError: if the run has not got so far.
        """
        return self._made(MODEL)

    def _made(self, name: str) -> Path:
        """A file that the end of the run leaves."""
        path = self.path / name
        if path.exists():
            return path
        if (self.path / SUMMARY).exists():
            again = f"; run it again: kptk train --config {self.path / CONFIG}" if name == BACKBONE else ""
            raise InputError(f"{self.path} has no {name}, though the run ended: it was removed. Put it back{again}.")
        raise InputError(f"{self.path} has no {name}: the run did not end. Go on with it: {self.resume_command}")

    @property
    def finetuned(self) -> bool:
        """Whether this is the folder of a fine-tuning."""
        from kptk.request import read_toml

        return "origin" in read_toml(self.path / CONFIG)

    @property
    def resume_command(self) -> str:
        """What goes on with an interrupted run."""
        return f"kptk {'finetune' if self.finetuned else 'train'} --resume {self.path}"

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file whole or not at all.

        Args:
            name: file name within the folder.
            content: text or bytes.

        Returns:
            Its path.

        Raises:
            RunError: if the disk is full or read-only.
        """
        target = self.path / name
        part = target.with_name(f"{target.name}.part")
        try:
            if isinstance(content, bytes):
                part.write_bytes(content)
            else:
                part.write_text(content, encoding="utf-8")
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RunError(f"could not write {target}: {error.strerror or error}") from error
        return target

    def metrics(self) -> list[dict[str, Any]]:
        """The recorded epochs, in order; a last line that was cut off by a crash is left out."""
        rows = []
        path = self.path / METRICS
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; an absent one is empty."""
        path = self.path / name
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return content
