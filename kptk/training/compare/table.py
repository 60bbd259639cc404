"""The labelled data of a comparison: what is refused before anything is trained, and each cell's draw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.comparing.config import ComparisonConfig
from kptk.data import Source
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.training.assemble import open_source
from kptk.training.experiment import ALL, Draw, draw
from kptk.training.overlap import hashes_of

Array = NDArray[Any]
TEST_SHARE = 0.3
"""Of data without a test part of its own, the part that is tested at most."""
CHUNK = 1024
TRAITS = ("columns",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All rows of a comparison, in memory.

    Args:
        x: rows to pre-train on and to draw labelled rows from; with a drawn test part, those too.
        y: their classes.
        test: rows and classes of the data's own test part; None if each seed draws one.
        test_rows: rows that each seed draws for tests; 0 with a part of its own.
        class_names: the name of each class.
        inputs: the kind of input.
        fingerprint: of the content.
        description: one line.
        traits: what else the source says of its rows, such as the columns of a table.
    """

    x: Array
    y: NDArray[np.int64]
    test: tuple[Array, NDArray[np.int64]] | None
    test_rows: int
    class_names: tuple[str, ...]
    inputs: str
    fingerprint: str
    description: str
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pool_rows(self) -> int:
        """Rows to pre-train on."""
        return len(self.x) - self.test_rows

    @property
    def tested(self) -> int:
        """Rows of a test."""
        return len(self.test[1]) if self.test is not None else self.test_rows

    def draw(self, config: ComparisonConfig, seed: int, labels_per_class: int) -> Draw:
        """The rows of one cell: the same for every arm.

        Args:
            config: the comparison.
            seed: of the draw.
            labels_per_class: labelled rows of each class, 0 for all.

        Raises:
            InputError: if a class has too few rows.
        """
        return draw(
            self.x,
            self.y,
            seed=seed,
            labels_per_class=labels_per_class,
            test_rows=self.test_rows,
            validation_per_class=config.values["validation_per_class"],
            test=self.test,
        )


def open_table(config: ComparisonConfig) -> Table:
    """Read the data of a comparison and refuse what cannot be compared on. Needs no Keras.

    Args:
        config: the comparison.

    Raises:
        InputError: if labels are missing, classes do not match, or rows are too few for what was asked.
    """
    source = open_source(config.data, 0)
    holdout = source.holdout()
    name = source.describe()
    if source.labels is None:
        raise InputError(
            f"{name}: a comparison needs labels, for its tests. Use class sub-folders, or an .npz with x and y."
        )
    parts = [source]
    test: tuple[Array, NDArray[np.int64]] | None = None
    test_rows = 0
    if holdout is not None and holdout.labels is not None:
        refuse_other_classes(source, holdout)
        if config.values["split"] == "own":
            test = _own_test(holdout, config.values["test_rows"])
        else:
            parts.append(holdout)
    x = np.concatenate([_read(part) for part in parts])
    y = np.concatenate([part.labels for part in parts if part.labels is not None])
    if test is None:
        wanted = config.values["test_rows"] or len(x)
        test_rows = min(wanted, int(len(x) * TEST_SHARE))
    table = Table(
        x=x,
        y=y,
        test=test,
        test_rows=test_rows,
        class_names=source.class_names,
        inputs=source.inputs,
        fingerprint=hashlib.sha256(
            "".join(_fingerprint(part) for part in (source, holdout) if part).encode()
        ).hexdigest(),
        description=name,
        traits={key: getattr(source, key) for key in TRAITS if hasattr(source, key)},
    )
    _refuse_too_few(config, table)
    return table


def _own_test(holdout: Source, most: int) -> tuple[Array, NDArray[np.int64]]:
    assert holdout.labels is not None
    rows = np.arange(len(holdout))
    if most and most < len(rows):
        rows = np.sort(np.random.default_rng(2).choice(rows, most, replace=False))  # the same for every seed
    return _read(holdout, rows), holdout.labels[rows]


def _read(source: Source, rows: NDArray[np.int64] | None = None) -> Array:
    rows = np.arange(len(source)) if rows is None else rows
    return np.concatenate([source.read(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])


def _fingerprint(source: Source) -> str:
    assert source.labels is None or source.labels.dtype == np.int64
    return source.fingerprint() + hashlib.sha256(b"" if source.labels is None else source.labels.tobytes()).hexdigest()


def refuse_other_classes(source: Source, holdout: Source) -> None:
    """Raise if the classes of the test part are not those of the training part.

    Args:
        source: the training part.
        holdout: the test part.

    Raises:
        InputError: with the classes that only one of them has.
    """
    ours, theirs = set(source.class_names), set(holdout.class_names)
    if source.class_names == holdout.class_names:
        return
    only = [
        f"{', '.join(sorted(names)[:5])} only in the {part}"
        for names, part in ((ours - theirs, "training part"), (theirs - ours, "test part"))
        if names
    ]
    raise InputError(
        f"{source.describe()}: its test part has other classes ({'; '.join(only) or 'in another order'}). "
        "Both parts need the same classes."
    )


def _refuse_too_few(config: ComparisonConfig, table: Table) -> None:
    """Say before anything is trained what the draws would say in the middle of it."""
    counts = np.bincount(table.y, minlength=len(table.class_names))
    used = np.flatnonzero(counts)
    if len(used) < 2:
        raise InputError(f"{table.description}: all rows have one class, so there is nothing to tell apart.")
    if table.tested < 1:
        raise InputError(f"{table.description}: no row is left for tests.")
    batch = config.values["batch_size"]
    teaches = any(not arm.scratch and not arm.origin for arm in config.arms)
    if teaches and table.pool_rows < batch:
        raise InputError(
            f"{table.description}: {table.pool_rows:,} rows are left for pre-training, fewer than one batch of {batch:,}. "
            f"Use a smaller batch (--batch-size {max(table.pool_rows, 2)}) or more data."
        )
    held = config.values["validation_per_class"]
    most = max(config.labels)
    for seed in config.seeds:
        pool = table.y
        if table.test is None:
            pool = table.y[np.random.default_rng([seed, 1]).permutation(len(table.y))[table.test_rows :]]
        rows = np.bincount(pool, minlength=len(counts))[used]
        if rows.min() < held + max(most, 1):
            name = table.class_names[int(used[rows.argmin()])]
            room = int(rows.min()) - held
            most_text = "all" if most == ALL else str(most)
            raise InputError(
                f"{table.description}: class '{name}' has {rows.min()} rows beside the test rows (seed {seed}), too few "
                f"for {most_text} labelled and {held} validation rows. "
                + (f"At most --labels-per-class {room}, " if room > 0 else "")
                + "or fewer validation rows: -o compare.validation_per_class=N"
            )


def duplicates(rows: Array, others: Iterable[Array]) -> int:
    """How many rows are exact copies of a row in others.

    Args:
        rows: rows, such as test rows.
        others: arrays of rows, such as those of pre-training.
    """
    seen = {found for part in others for found in hashes_of(part)}
    return sum(found in seen for found in hashes_of(rows))


def overlaps(config: ComparisonConfig, table: Table, plugins: Plugins) -> list[str]:
    """Sentences on test rows that some arm saw before: exact copies, counted.

    Args:
        config: the comparison.
        table: its data.
        plugins: the registry.
    """
    warnings = []
    counts = []
    for seed in config.seeds if table.test is None else config.seeds[:1]:
        data = table.draw(config, seed, config.labels[0])
        counts.append(duplicates(data.test[0], [data.pool]))
    if max(counts):
        warnings.append(
            f"{max(counts):,} of {table.tested:,} test rows are exact copies of rows that arms pre-train on and may have "
            "labels for. Remove duplicates from the data before you believe a score."
        )
    test = table.test[0] if table.test is not None else table.x
    for title, rows in _elsewhere(config, plugins):
        count = duplicates(test, [rows])
        if count:
            of = "test rows" if table.test is not None else "rows, among which each seed draws its test rows,"
            warnings.append(
                f"{count:,} of {len(test):,} {of} are exact copies of rows that {title} was pre-trained on."
            )
    return warnings


def _elsewhere(config: ComparisonConfig, plugins: Plugins) -> Iterable[tuple[str, Array]]:
    """Rows that some arm pre-trains on and that are not of the comparison's own pool."""
    from kptk.config import resolve
    from kptk.request import from_run
    from kptk.runfolder import CONFIG

    for arm in config.arms:
        if arm.origin:
            run = resolve(plugins, from_run(f"{arm.origin}/{CONFIG}"))
            yield f"the run {arm.name}", _read(open_source(run.data, run.train.values["seed"]))
    if config.source:
        from kptk.training.assemble import open_named

        yield f"the source {config.source}", _read(open_named(plugins, config.source, **config.source_options))
