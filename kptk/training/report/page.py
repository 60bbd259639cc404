"""What the sections of a report look at: the run, its records, and a sample of rows with their features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kptk import runfolder
from kptk.training.health import MAX_ROWS
from kptk.training.pictures import is_picture
from kptk.training.probes import NEIGHBOURS, VOTE_TEMPERATURE
from kptk.training.report.rows import Sample, take_sample

if TYPE_CHECKING:
    from kptk.runfolder import RunFolder
    from kptk.training.run import Run


@dataclass(frozen=True)
class Page:
    """A finished run, as its report sees it.

    Args:
        run: the run.
        folder: its folder.
        summary: its figures, as in `summary.json`.
        thorough: whether to take the time for what `kptk report` shows beyond the report at the end of a run.
    """

    run: Run
    folder: RunFolder
    summary: dict[str, Any]
    thorough: bool = False

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """What was logged at the end of each epoch."""
        return self.folder.metrics()

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What the run was made with."""
        return self.folder.read_json(runfolder.ENVIRONMENT)

    @cached_property
    def sample(self) -> Sample:
        """The rows whose features are shown."""
        return take_sample(self.run)

    @property
    def pictures(self) -> bool:
        """Whether rows can be drawn."""
        return is_picture(self.run.source.inputs, self.run.source.row_shape)

    @property
    def seed(self) -> int:
        """Seed of the run and of every draw for the report."""
        return int(self.run.train["seed"])

    @property
    def batch_size(self) -> int:
        """Examples a step."""
        return int(self.run.train["batch_size"])

    @property
    def health_protocol(self) -> str:
        """On which rows the health of the features was measured."""
        rows = min(len(self.run.source), MAX_ROWS)
        return f"{rows:,} training rows, seed {self.seed}, without augmentation, at the end of each epoch"

    @cached_property
    def probe_parts(self) -> tuple[Any, Any] | None:
        """The rows that vote and those that are tested in the kNN check while training, if there is one."""
        callbacks = self.run.probe_callbacks()
        return (callbacks[0].train_part, callbacks[0].test_part) if callbacks else None

    @property
    def probe_protocol(self) -> str:
        """How the kNN check while training is made."""
        if self.probe_parts is None:
            return ""
        vote, test = (len(part) for part in self.probe_parts)
        return (
            f"k = {min(NEIGHBOURS, vote)}, cosine, votes weighted by exp(cosine / {VOTE_TEMPERATURE:g}); "
            f"{vote:,} rows of the separate labelled data vote, {test:,} others are tested, seed {self.seed}"
        )
