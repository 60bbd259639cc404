"""Which cells belong together: the arms that share one pre-training, seed by seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kptk.comparing.config import ArmConfig, ComparisonConfig
from kptk.training.compare.summary import cells_of
from kptk.training.experiment import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Arms with the same pre-training.

    Args:
        name: its name, good for a file.
        arms: their configurations.
    """

    name: str
    arms: tuple[ArmConfig, ...]

    def missing(self, config: ComparisonConfig, grid: Grid, seed: int) -> list[tuple[str, int]]:
        """Names and numbers of labels of the cells that are still to do.

        Args:
            config: the comparison.
            grid: finished cells.
            seed: the seed.
        """
        done = {(cell.arm, cell.labels_per_class) for cell in grid.cells if cell.seed == seed}
        every = [(name, labels) for labels in config.labels for arm in self.arms for name in cells_of(arm)]
        return [cell for cell in every if cell not in done]


def groups_of(config: ComparisonConfig) -> list[Group]:
    """Divide the arms of a comparison into groups.

    Args:
        config: the comparison.
    """
    found: dict[str, list[ArmConfig]] = {}
    for arm in config.arms:
        found.setdefault(json.dumps(arm.teaching(), sort_keys=True, default=str), []).append(arm)
    groups = []
    for number, arms in enumerate(found.values(), start=1):
        name = re.sub(r"[^\w+.-]", "_", arms[0].name)
        groups.append(Group(name=f"{number}-{name}", arms=tuple(arms)))
    return groups


def tasks(config: ComparisonConfig, grid: Grid) -> Iterator[tuple[Group, int, list[tuple[str, int]]]]:
    """Every group and seed with cells to do, seed by seed, so that early results are comparable.

    Args:
        config: the comparison.
        grid: finished cells.

    Yields:
        Group, seed, missing cells.
    """
    groups = groups_of(config)
    for seed in config.seeds:
        for group in groups:
            missing = group.missing(config, grid, seed)
            if missing:
                yield group, seed, missing
