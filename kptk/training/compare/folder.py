"""The folder of a comparison: what is in it, and who may write to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from kptk import registry
from kptk.errors import InputError, RunError, UsageError
from kptk.runfolder import ENVIRONMENT, SUMMARY, RunFolder
from kptk.training.experiment import Grid

FIGURE = "label-efficiency.png"
FAILURES = "failures.json"
STEPS = "steps.json"
LOCK = ".lock"


class ComparisonFolder:
    """Paths of a comparison and safe ways to write them.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def default_path(cls) -> Path:
        """``runs/compare-<date>-<time>`` under the working folder."""
        return Path("runs") / f"compare-{datetime.now():%Y%m%d-%H%M%S}"

    @classmethod
    def is_one(cls, path: str | Path) -> bool:
        """Whether a folder holds a comparison.

        Args:
            path: the folder.
        """
        return registry.form(Path(path)) == "compare"

    @classmethod
    def check_free(cls, path: Path) -> None:
        """Refuse a folder that cannot become a new comparison.

        Args:
            path: where it is to go.

        Raises:
            UsageError: if something is there already.
        """
        if cls.is_one(path):
            raise UsageError(
                f"{path} already holds a comparison. Go on with it: kptk compare {path}; or name another --out."
            )
        RunFolder.check_free(path)

    @classmethod
    def create(cls, path: Path, config: str, environment: dict[str, Any]) -> ComparisonFolder:
        """Make the folder in one step: either it holds its configuration or it is not there.

        Args:
            path: where.
            config: the configuration as TOML.
            environment: versions, plugins, data.

        Raises:
            RunError: if it cannot be written.
        """
        cls.check_free(path)
        building: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
            (building / registry.COMPARISON).write_text(config, encoding="utf-8")
            (building / ENVIRONMENT).write_text(json.dumps(environment, indent=2), encoding="utf-8")
            (building / registry.CELLS).touch()
            building.chmod(0o755)
            if path.exists():
                path.rmdir()
            building.rename(path)
        except OSError as error:
            if building:
                shutil.rmtree(building, ignore_errors=True)
            raise RunError(f"could not make the folder {path}: {error.strerror or error}") from error
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> ComparisonFolder:
        """Open the folder of an earlier comparison.

        Args:
            path: the folder.

        Raises:
            InputError: if it is not one.
        """
        if not Path(path).exists():
            raise InputError(f"no folder at {path}.")
        if not cls.is_one(path):
            raise InputError(
                f"{path} is not the folder of a comparison: it has no {registry.COMPARISON} with {registry.CELLS}."
            )
        return cls(path)

    @property
    def config(self) -> Path:
        """The whole configuration."""
        return self.path / registry.COMPARISON

    def grid(self) -> Grid:
        """The finished cells."""
        return Grid(self.path / registry.CELLS)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file whole or not at all.

        Args:
            name: file name within the folder.
            content: text or bytes.
        """
        return RunFolder(self.path).write(name, content)

    def read(self, name: str) -> Any:
        """A JSON file of the folder; an absent one is empty.

        Args:
            name: file name within the folder.
        """
        return RunFolder(self.path).read_json(name)

    def log(self, group: str, seed: int) -> Path:
        """Where a group's process writes what libraries say.

        Args:
            group: its name.
            seed: its seed.
        """
        folder = self.path / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{group}-{seed}.txt"

    def kept(self, group: str, seed: int) -> Path:
        """Where a group keeps its pre-trained weights until all of its cells are done.

        Args:
            group: its name.
            seed: its seed.
        """
        return self.path / "weights" / f"{group}-{seed}.npz"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; a lock ends with its process, however that ends.

        Raises:
            UsageError: if another process is at work here.
        """
        with (self.path / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"another kptk compare is at work in {self.path}. Wait for it, or stop it.") from None
            yield

    @property
    def summary(self) -> Path:
        """The figures."""
        return self.path / SUMMARY
