"""Which of the measured candidates to take, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kptk.config import Part, RunConfig
from kptk.training.duration import duration
from kptk.training.planning.costs import Candidate

SPARE = 0.9
"""The part of the time and memory that a plan uses up; the rest is for what it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is recommended.

    Args:
        candidate: the objective and backbone.
        batch_size: examples a step.
        epochs: passes over the data.
        reason: why, in a sentence or two.
    """

    candidate: Candidate
    batch_size: int
    epochs: int
    reason: str

    @property
    def config(self) -> RunConfig:
        """The configuration to run."""
        config = self.candidate.config
        values = {**config.train.values, "batch_size": self.batch_size, "epochs": self.epochs}
        return replace(config, train=Part(None, values))

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {**self.candidate.row(self.batch_size, self.epochs), "reason": self.reason}


def batch_for(candidate: Candidate, batch_sizes: Sequence[int], memory_mb: float) -> int:
    """The batch that makes most examples a second within the memory; 0 if none fits.

    A larger batch must be a tenth faster than a smaller one to be worth its memory.

    Args:
        candidate: measured.
        batch_sizes: to choose among.
        memory_mb: how much there is.
    """
    best = 0
    for size in sorted(batch_sizes):
        if candidate.memory_mb(size) > SPARE * memory_mb or size > candidate.rows:
            continue
        if not best or _rate(candidate, size) > 1.1 * _rate(candidate, best):
            best = size
    return best


def _rate(candidate: Candidate, size: int) -> float:
    return size / candidate.step_seconds(size)


def recommend(
    candidates: Sequence[Candidate], batch_sizes: Sequence[int], *, seconds: float, memory_mb: float, epochs: int = 0
) -> Choice | None:
    """Choose: the largest backbone that makes enough epochs within time and memory; the objective named first.

    A plan cannot know which network learns best. What it does know is that one that is cut short learns little, so the number
    of epochs comes first and the size of the network second.

    Args:
        candidates: measured, in the order of the user's objectives.
        batch_sizes: to choose among.
        seconds: how long a run may take.
        memory_mb: how much memory there is.
        epochs: passes that are enough; 0 for what each recipe says.

    Returns:
        The choice, or None if nothing fits into the memory.
    """
    feasible = []
    for candidate in candidates:
        size = batch_for(candidate, batch_sizes, memory_mb)
        if size:
            wanted = epochs or int(candidate.config.train.values["epochs"])
            feasible.append((candidate, size, wanted, candidate.epochs_within(size, SPARE * seconds)))
    if not feasible:
        return None
    first = feasible[0][0].objective
    own = [row for row in feasible if row[0].objective == first]
    enough = [row for row in own if row[3] >= row[2]]
    if enough:
        candidate, size, wanted, _ = max(enough, key=lambda row: row[0].flops or row[0].parameters)
        reason = _enough(candidate, size, wanted, own, seconds, memory_mb)
        return Choice(candidate=candidate, batch_size=size, epochs=wanted, reason=reason)
    candidate, size, wanted, most = max(own, key=lambda row: row[3] / row[2])
    reason = (
        f"No backbone makes {wanted} epochs of {first} in {duration(seconds)}. {candidate.backbone} gets furthest: "
        f"{max(most, 1)} of {wanted} epochs. Expect less than the recipe promises, or give it "
        f"{duration(candidate.seconds(size, wanted) / SPARE)}."
    )
    return Choice(candidate=candidate, batch_size=size, epochs=max(most, 1), reason=reason)


def _enough(
    candidate: Candidate,
    size: int,
    epochs: int,
    rivals: Sequence[tuple[Candidate, int, int, int]],
    seconds: float,
    memory_mb: float,
) -> str:
    takes = duration(candidate.seconds(size, epochs))
    name = candidate.backbone
    what = f"{name} makes {epochs} epochs of {candidate.objective}"
    if len(rivals) > 1:
        what = f"{name} is the largest of {len(rivals)} backbones that makes {epochs} epochs of {candidate.objective}"
    reason = (
        f"{what} within {duration(seconds)} (predicted: {takes}) and {memory_mb / 1024:.1f} GB "
        f"({candidate.memory_mb(size) / 1024:.1f} GB); a batch of {size} makes {_rate(candidate, size):,.0f} examples a second."
    )
    slower = [row for row in rivals if row[3] < row[2]]
    if slower:
        others = "; ".join(
            f"{other.backbone} would take {duration(other.seconds(b, wanted))}" for other, b, wanted, _ in slower
        )
        reason += f" {others}."
    return reason
