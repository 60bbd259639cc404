"""`kptk.plan`: what pre-training would cost on this machine with this data, and what to run. Imports no Keras itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kptk.errors import RunError, bad_value
from kptk.plugins import Plugins
from kptk.request import Setting
from kptk.spellings import to_toml
from kptk.training.planning.costs import Candidate
from kptk.training.planning.measuring import candidates, measure_candidate
from kptk.training.planning.recommend import Choice, batch_for, recommend
from kptk.training.reporter import LineReporter, Reporter

BATCH_SIZES = (64, 128, 256)
BUSY = 1.5
"""Load of each processor above which times are said to be doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was measured, and what to do.

    Args:
        candidates: measured.
        choice: the recommendation, or None if nothing fits.
        rows: the table.
        notes: what stands beside it: misfits, failures, doubts.
    """

    candidates: tuple[Candidate, ...]
    choice: Choice | None
    rows: list[dict[str, Any]]
    notes: list[str]

    def to_toml(self) -> str:
        """The recommended configuration, with the reason above it; ``kptk train --config`` takes it.

        Raises:
            RunError: if nothing is recommended.
        """
        if self.choice is None:
            raise RunError("nothing fits, so there is nothing to recommend.")
        return f"# {self.choice.reason}\n{to_toml(self.choice.config)}"

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {
            "candidates": self.rows,
            "recommended": self.choice.to_dict() if self.choice else None,
            "config": to_toml(self.choice.config) if self.choice else None,
            "notes": self.notes,
        }


def plan(
    data: str,
    objectives: Sequence[str] = ("contrastive",),
    backbones: Sequence[str] = (),
    *,
    seconds: float = 1800.0,
    memory_mb: float = 0.0,
    epochs: int = 0,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    options: Mapping[str, Any] | Sequence[Setting] = (),
    growth: bool = True,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> Plan:
    """Measure a few steps of every objective on every backbone, and recommend one.

    Args:
        data: the data, a path or a name.
        objectives: their names; the recommendation is for the first.
        backbones: their names; empty for each recipe's own.
        seconds: how long a run may take.
        memory_mb: how much memory it may take; 0 for most of what the machine has free.
        epochs: passes that are enough; 0 for what each recipe says.
        batch_sizes: examples a step, two at least; costs between them are fitted.
        options: options of the parts, ``{"preprocessor.size": 32}``.
        growth: whether to measure how cost grows with size, width and depth, too.
        plugins: the registry.
        reporter: how it speaks; lines by default.

    Returns:
        Table, recommendation and notes.

    Example:
        >>> import kptk
        >>> kptk.plan("mnist10k", ["contrastive"], ["example_cnn", "resnet18"]).to_toml()  # doctest: +SKIP
    """
    if len(set(batch_sizes)) < 2 or min(batch_sizes) < 1:
        raise bad_value("batch_sizes", "two or more numbers of at least 1", tuple(batch_sizes))
    plugins, reporter = plugins or Plugins(), reporter or LineReporter()
    settings = (
        [Setting(key, value) for key, value in options.items()] if isinstance(options, Mapping) else list(options)
    )
    configs, notes = candidates(plugins, objectives, backbones, data, settings)
    memory = memory_mb or available_memory()
    measured: list[Candidate] = []
    busy = load()
    with reporter.progress("Measuring", len(configs)) as advance:
        for done, config in enumerate(configs, start=1):
            name = f"{config.objective.id} on {config.backbone.id}"
            try:
                measured.append(measure_candidate(config, batch_sizes, growth=growth))
            except RunError as error:
                notes.append(f"{name} could not be measured: {error}")
            busy = max(busy, load())
            advance(done, name)
    if not measured:
        raise RunError("nothing could be measured:\n" + "\n".join(notes))
    if busy > BUSY:
        notes.append(
            f"The machine had other work (load {busy:.1f} for each processor): times are too long, and doubtful."
        )
    choice = recommend(measured, batch_sizes, seconds=seconds, memory_mb=memory, epochs=epochs)
    if choice is None:
        notes.append(f"No candidate fits into {memory:,.0f} MB. Smaller batches may: --batch-sizes 8,16")
    rows = []
    for candidate in measured:
        size = batch_for(candidate, batch_sizes, memory) or min(batch_sizes)
        rows.append(candidate.row(size, epochs or int(candidate.config.train.values["epochs"])))
    return Plan(candidates=tuple(measured), choice=choice, rows=rows, notes=notes)


def available_memory() -> float:
    """Four fifths of the memory that is free now, in MB."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not told on this system
        free = 8 * 2**30
    return 0.8 * float(free) / 2**20


def load() -> float:
    """Processes that want a processor, for each processor."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
