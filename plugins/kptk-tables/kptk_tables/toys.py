"""Teaches the conformance kit what a table is: `kptk.testing.toys` imports this module when it needs rows of one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, FLAG, NUMBER, Column
from kptk.data import ArraySource
from kptk.testing.toys import Toy, register_toy
from kptk_tables.table import Table
from kptk_tables.table_mlp import table_mlp

CLASSES = 4
COLUMNS = (
    *(Column(f"number{place}", NUMBER) for place in range(4)),
    Column("colour", CATEGORY),
    Column("shape", CATEGORY),
    Column("new", FLAG),
)
COLOURS = np.array(["red", "green", "blue", "amber"], dtype=object)
SHAPES = np.array(["round", "long"], dtype=object)


def raw_rows(count: int, seed: int) -> ArraySource:
    """Rows of numbers, names and flags in four classes, some cells missing.

    Args:
        count: how many.
        seed: decides all of them.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = np.random.default_rng(1234).normal(0, 3, (CLASSES, 4))
    cells = np.empty((count, len(COLUMNS)), dtype=object)
    cells[:, :4] = centres[labels] + rng.normal(0, 0.3, (count, 4))
    cells[:, 4] = COLOURS[labels]
    cells[:, 5] = SHAPES[labels // 2]
    cells[:, 6] = (labels % 2).astype(float)
    cells[rng.random(cells.shape) < 0.02] = None
    made = ArraySource(cells, labels, inputs="table", name="toy table")
    made.columns = COLUMNS
    return made


@lru_cache(maxsize=1)
def _state() -> dict[str, Any]:
    """What a table preprocessor learns of the toy rows."""
    table = Table(seed=0)
    table.fit(raw_rows(256, 1234))
    return table.known.to_dict()


def views(count: int) -> Table:
    """A fitted preprocessor whose first view is clean, as the objectives of tables need it.

    Args:
        count: how many views.
    """
    return Table(views=count, anchor="clean", seed=0, state=_state())


def inputs(count: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Prepared rows and their classes.

    Args:
        count: how many.
        seed: decides all of them.
    """
    source = raw_rows(count, seed)
    assert source.labels is not None
    return views(1).prepare(source.read(np.arange(count))), source.labels


def shape(min_size: int) -> tuple[int, ...]:
    """Shape of the features of a toy row.

    Args:
        min_size: of a backbone; tables have none.
    """
    del min_size
    return views(1).view_shape(())


def backbone(features: str) -> keras.Model:
    """The smallest perceptron.

    Args:
        features: what an objective needs; tables give vectors.
    """
    del features
    return table_mlp(shape(0), units=32, depth=1, batch_norm=False)


register_toy("table", Toy(inputs=inputs, backbone=backbone, views=views, shape=shape, raw=raw_rows))
