"""Arms x labels x seeds: runs every arm on the same draws and compares them in pairs.

`kptk compare` grows out of this. It knows nothing of what an arm does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError

Array = NDArray[Any]
ALL = 0
"""As a number of labels per class: every row of the pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The data of one seed and number of labels: the same for every arm.

    Args:
        seed: of everything that is drawn.
        labels_per_class: labelled rows of each class, 0 for all.
        pool: rows without labels, for pre-training.
        pool_y: classes of those rows, for nothing but the supervised baseline that has every label.
        x: labelled rows.
        y: their classes.
        validation: rows and classes to choose by; never trained on.
        test: rows and classes that only the final score sees.
    """

    seed: int
    labels_per_class: int
    pool: Array
    pool_y: Array
    x: Array
    y: Array
    validation: tuple[Array, Array]
    test: tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an arm reached.

    Args:
        validation: accuracy on the validation rows.
        test: accuracy on the test rows.
        chosen: what was chosen on the validation rows.
        facts: further figures, such as seconds of training.
    """

    validation: float
    test: float
    chosen: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One finished cell of the grid."""

    arm: str
    labels_per_class: int
    seed: int
    validation: float
    test: float
    chosen: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean of paired differences with its 95 % interval, in the unit of the scores.

    Args:
        mean: mean over the seeds.
        low: lower end of the interval.
        high: upper end.
        seeds: number of pairs.
    """

    mean: float
    low: float
    high: float
    seeds: int


Arm = Callable[[Draw], Outcome]


def draw(
    x: Array,
    y: Array,
    *,
    seed: int,
    labels_per_class: int,
    test_rows: int,
    validation_per_class: int,
    test: tuple[Array, Array] | None = None,
) -> Draw:
    """Split labelled data for one cell; everything depends on the seed alone.

    Fewer labels are a part of more labels of the same seed, so that curves over labels are comparable.

    Args:
        x: all rows.
        y: their classes.
        seed: of the draw.
        labels_per_class: labelled rows of each class, 0 for all of the pool that is not validation.
        test_rows: rows kept for the final score.
        validation_per_class: rows of each class kept for choices.
        test: rows and classes of a test part of its own; then `test_rows` is 0.

    Returns:
        The draw. The pool is everything but the test rows; labelled and validation rows are drawn from it.

    Raises:
        InputError: if a class has too few rows.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(x))
    drawn, pool = order[:test_rows], order[test_rows:]
    labelled, validation = [], []
    for label in np.unique(y):
        rows = pool[y[pool] == label]
        needed = validation_per_class + max(labels_per_class, 1)
        if len(rows) < needed:
            raise InputError(f"class {label} has {len(rows)} rows in the pool; {needed} are needed for this draw.")
        validation.append(rows[:validation_per_class])
        rest = rows[validation_per_class:]
        labelled.append(rest[:labels_per_class] if labels_per_class else rest)
    chosen, held = np.concatenate(labelled), np.concatenate(validation)
    return Draw(
        seed=seed,
        labels_per_class=labels_per_class,
        pool=x[pool],
        pool_y=y[pool],
        x=x[chosen],
        y=y[chosen],
        validation=(x[held], y[held]),
        test=(x[drawn], y[drawn]) if test is None else test,
    )


class Grid:
    """Cells on disk: a killed experiment goes on where it stopped and repeats no finished cell.

    Args:
        path: a file of JSON lines.

    Raises:
        InputError: if the file holds anything else; it is left as it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cells: list[Cell] = []
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                self.cells.append(Cell(**json.loads(line)))
            except (ValueError, TypeError) as error:
                if number == len(lines) and line.startswith("{") and not line.endswith("}"):
                    break  # a crash cut the last line off: that cell runs again
                raise InputError(
                    f"{self.path}, line {number}: not a finished cell of an experiment. Name another file, or mend the line."
                ) from error

    def run(
        self, arms: dict[str, Arm], draws: Iterable[Draw], *, say: Callable[[Cell], None] = lambda cell: None
    ) -> Iterator[Cell]:
        """Run the cells that are missing.

        Args:
            arms: what to run, by name.
            draws: the data, one for each seed and number of labels.
            say: called with each new cell.

        Yields:
            Each new cell, after it was written.
        """
        done = {(cell.arm, cell.labels_per_class, cell.seed) for cell in self.cells}
        self.mend()
        for data in draws:
            for name, arm in arms.items():
                if (name, data.labels_per_class, data.seed) in done:
                    continue
                outcome = arm(data)
                cell = Cell(arm=name, labels_per_class=data.labels_per_class, seed=data.seed, **asdict(outcome))
                self.add(cell)
                say(cell)
                yield cell

    def add(self, cell: Cell) -> None:
        """Keep a finished cell, on disk at once.

        Args:
            cell: what was reached.
        """
        self.cells.append(cell)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")

    def mend(self) -> None:
        """Drop a line that was cut off, so that new ones start on a line of their own."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in self.cells), encoding="utf-8")
        part.replace(self.path)  # a crash in between leaves the old file whole

    def scores(self, arm: str, labels_per_class: int) -> dict[int, Cell]:
        """Cells of an arm by seed."""
        return {cell.seed: cell for cell in self.cells if cell.arm == arm and cell.labels_per_class == labels_per_class}

    def best_of(self, arms: Sequence[str], labels_per_class: int, *, by: str) -> dict[int, float]:
        """Test score of the best of several arms, seed by seed.

        Args:
            arms: their names.
            labels_per_class: which column of the grid.
            by: ``"validation"`` to choose honestly, ``"test"`` to choose in the arms' favour (for a baseline).
        """
        table = [self.scores(arm, labels_per_class) for arm in arms]
        seeds = set.intersection(*(set(column) for column in table))
        return {
            seed: max((column[seed] for column in table), key=lambda c: getattr(c, by)).test for seed in sorted(seeds)
        }


def paired_difference(first: dict[int, float], second: dict[int, float]) -> Difference:
    """Mean of ``first - second`` over their common seeds, with the 95 % interval of Student's t.

    Args:
        first: scores by seed.
        second: scores by seed.

    Raises:
        InputError: if they share fewer than two seeds.
    """
    from scipy import stats

    seeds = sorted(set(first) & set(second))
    if len(seeds) < 2:
        raise InputError(f"an interval needs at least two seeds that both arms ran. Received: {len(seeds)}.")
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    mean = float(differences.mean())
    error = float(differences.std(ddof=1) / np.sqrt(len(seeds)))
    half = float(stats.t.ppf(0.975, len(seeds) - 1)) * error
    return Difference(mean=mean, low=mean - half, high=mean + half, seeds=len(seeds))


def table(grid: Grid, arms: Sequence[str], labels: Sequence[int]) -> str:
    """Write mean and standard deviation of the test accuracy, in per cent, as a Markdown table.

    Args:
        grid: finished cells.
        arms: rows, in this order.
        labels: columns, labels per class.
    """
    heads = ["all" if count == ALL else str(count) for count in labels]
    lines = [f"| arm | {' | '.join(f'k = {head}' for head in heads)} |", "| --- |" + " ---: |" * len(labels)]
    for arm in arms:
        cells = []
        for count in labels:
            values = [100 * cell.test for cell in grid.scores(arm, count).values()]
            cells.append(f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)
