"""Which rows of some data are used: a part by name, a fraction of each class, a limit. All a function of the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kptk.data import Source, Subset, limited
from kptk.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALL = "all"
"""The name of every row, whatever part it is in."""
WORDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training", "unlabeled", "unlabelled"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""What people call the parts of data, in folders and in columns."""


def part_called(word: str) -> str:
    """The part that a folder or a cell means, empty if it is no name of one.

    Args:
        word: as somebody wrote it.

    Example:
        >>> part_called("Val"), part_called("cats")
        ('validation', '')
    """
    lower = word.strip().lower()
    return next((part for part, words in WORDS.items() if lower in words), "")


class Division(Subset):
    """One part of data that comes in several.

    Args:
        source: the whole.
        rows: the row numbers of this part.
        note: what part it is.
        others: the parts that only this one knows of, by name; its test part is one of them.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64], note: str, others: Mapping[str, Source]) -> None:
        super().__init__(source, rows, note)
        self._others = dict(others)

    def holdout(self) -> Source | None:
        """Its own test part: test, or validation where that is the only one."""
        return self._others.get("test") or self._others.get("validation")

    def parts(self) -> dict[str, Source]:
        """This part and the others, by name."""
        return {"train": self, **self._others}


def divided(source: Source, names: Sequence[str]) -> Source:
    """Divide data whose rows say what part they belong to.

    Args:
        source: every row.
        names: the part of each row, as `part_called` returns it; empty for the part to learn from.

    Returns:
        The part to learn from, which knows the others; the source itself if all rows are of it.

    Raises:
        InputError: if no row is left to learn from.
    """
    import numpy as np

    found = np.array([name or "train" for name in names])
    rows = {name: np.flatnonzero(found == name) for name in WORDS}
    if len(rows["train"]) == len(found):
        return source
    if not len(rows["train"]):
        raise InputError(f"{source.describe()}: no row is in the part 'train', so there is nothing to learn from.")
    others = {
        name: Division(source, rows[name], f"part {name}", {}) for name in ("test", "validation") if len(rows[name])
    }
    return Division(source, rows["train"], "part train", others)


class Joined(Source):
    """The rows of several sources of one kind, one behind the other; they keep their labels if they have the same classes.

    Args:
        sources: at least one.

    Example:
        >>> import numpy as np
        >>> from kptk.data import ArraySource
        >>> both = Joined([ArraySource(np.zeros(3)), ArraySource(np.ones(2))])
        >>> both.read(np.array([4, 0]))
        array([1., 0.])
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        import numpy as np

        first = sources[0]
        self.inputs, self.row_shape = first.inputs, first.row_shape
        self.class_names, self.columns, self.skipped = first.class_names, first.columns, first.skipped
        self.remarks = first.remarks
        self._sources = list(sources)
        self._ends = np.cumsum([len(source) for source in sources])
        alike = all(source.class_names == first.class_names for source in sources)
        labels = [source.labels for source in sources if source.labels is not None and alike]
        targets = [source.targets for source in sources if source.targets is not None]
        self.labels = np.concatenate(labels) if len(labels) == len(sources) else None
        self.targets = np.concatenate(targets) if len(targets) == len(sources) else None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _place(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The part of each row, and its number there."""
        import numpy as np

        part = np.searchsorted(self._ends, rows, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])
        return part, rows - starts[part]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows as one batch."""
        import numpy as np

        part, own = self._place(np.asarray(rows))
        pieces = {number: self._sources[number].read(own[part == number]) for number in np.unique(part)}
        dtype = np.result_type(*(piece.dtype for piece in pieces.values())) if pieces else np.dtype("uint8")
        batch = np.empty((len(rows), *self.row_shape), dtype)
        for number, piece in pieces.items():
            batch[part == number] = piece
        return batch

    def at_epoch(self, epoch: int) -> Source:
        """The sources as they are in that epoch."""
        now = [source.at_epoch(epoch) for source in self._sources]
        return self if all(a is b for a, b in zip(now, self._sources, strict=True)) else Joined(now)

    def fingerprint(self) -> str:
        """Hash of the parts' fingerprints."""
        return hashlib.sha256("".join(source.fingerprint() for source in self._sources).encode()).hexdigest()

    def describe(self) -> str:
        """One line: the sources."""
        return " and ".join(source.describe() for source in self._sources)

    def row_name(self, row: int) -> str:
        """What its part calls the row."""
        import numpy as np

        part, own = self._place(np.array([row]))
        return self._sources[int(part[0])].row_name(int(own[0]))


class Single(Subset):
    """A part that was asked for by name: it has no test part of its own."""

    def holdout(self) -> Source | None:
        """None: whoever asks for a part by its name means no other rows."""
        return None


def part_of(source: Source, name: str) -> Source:
    """The part of some data that has a name.

    Args:
        source: the data.
        name: of a part, ``"all"`` for every row; empty for the data as it is, which keeps its test part apart.

    Raises:
        InputError: if there is no such part; the message lists those there are.
    """
    import numpy as np

    if not name:
        return source
    parts = source.parts()
    wanted = name if name in parts or name == ALL else part_called(name)
    if wanted == ALL:
        return Joined(list(parts.values())) if len(parts) > 1 else source
    if wanted not in parts:
        hint = did_you_mean(name, parts)
        more = "A column that says train and test is named by -o data.split=COLUMN. " if source.columns else ""
        raise InputError(f"{source.describe()} has no part '{name}'; it has: {', '.join(parts)}. {more}{hint}".strip())
    chosen = parts[wanted]
    return Single(chosen, np.arange(len(chosen)), f"part {wanted}")


def fraction_of(source: Source, fraction: float, seed: int) -> Source:
    """A seeded random share of a source, the same share of each class; a smaller one is a part of a larger one.

    Args:
        source: the whole.
        fraction: above 0, at most 1. At least one row of each class stays.
        seed: decides which.
    """
    if fraction >= 1:
        return source
    import numpy as np

    strata = np.zeros(len(source), dtype=np.int64) if source.labels is None else source.labels
    kept = []
    for label in np.unique(strata):
        rows = np.flatnonzero(strata == label)
        order = np.random.default_rng([seed, 11, int(label) + 1]).permutation(rows)
        kept.append(order[: max(round(fraction * len(rows)), 1)])
    how = f"fraction {fraction:g}" + (" of each class" if source.labels is not None else "")
    return Subset(source, np.sort(np.concatenate(kept)), f"{how}, seed {seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The rows that somebody asks for: first the part, then a fraction of it, then a limit.

    Args:
        part: see `part_of`.
        fraction: see `fraction_of`.
        limit: rows to keep at most, drawn at random; 0 for all.
        seed: of both draws.

    Example:
        >>> import numpy as np
        >>> from kptk.data import ArraySource
        >>> digits = ArraySource(np.zeros((20, 4)), np.arange(20) % 2)
        >>> np.bincount(Choice(fraction=0.2).of(digits).labels).tolist()
        [2, 2]
    """

    part: str = ""
    fraction: float = 1.0
    limit: int = 0
    seed: int = 0

    def of(self, source: Source) -> Source:
        """The chosen rows; the data itself if all are wanted.

        Args:
            source: the data.
        """
        return limited(fraction_of(part_of(source, self.part), self.fraction, self.seed), self.limit, self.seed)

    def __str__(self) -> str:
        words = [f"part {self.part}"] if self.part else []
        words += [f"fraction {self.fraction:g}"] if self.fraction < 1 else []
        return ", ".join(words + ([f"limit {self.limit:,}"] if self.limit else []))


EVERYTHING = Choice()
