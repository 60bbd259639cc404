"""How far reconstructed cells are from the cells themselves, column by column, whatever the columns hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_tables.layout import BITS, ONE_HOT, Group
from kptk_tables.table import Table


def squared_error(raw: Tensor, targets: Tensor) -> Tensor:
    """``(x - x')²`` of each scaled number.

    Args:
        raw: the decoder's output, shape ``(batch, numbers)``.
        targets: of the same shape.
    """
    return ops.square(raw - targets)


def bit_cross_entropy(raw: Tensor, targets: Tensor) -> Tensor:
    """``-x log p - (1 - x) log(1 - p)`` of each bit, with ``p = sigmoid(raw)``.

    Args:
        raw: logits, shape ``(batch, bits)``.
        targets: 0 or 1, of the same shape.
    """
    return ops.softplus(raw) - targets * raw


def code_cross_entropy(raw: Tensor, targets: Tensor) -> Tensor:
    """``-log p(code)`` with ``p = softmax(raw)``, shape ``(batch, 1)``; 0 for a row without a code.

    Args:
        raw: logits, shape ``(batch, codes)``.
        targets: one-hot, of the same shape.
    """
    return -ops.sum(targets * ops.log_softmax(raw, axis=-1), axis=-1, keepdims=True)


ERRORS: dict[str, Any] = {BITS: bit_cross_entropy, ONE_HOT: code_cross_entropy}


def cell_losses(raw: Tensor, targets: Tensor, groups: Sequence[Group], columns: int) -> Tensor:
    """The error of each cell: the mean over its groups of features, each the mean over what it has errors of.

    Args:
        raw: the decoder's output, shape ``(batch, features)``.
        targets: the features, of the same shape.
        groups: the features, in their order.
        columns: how many columns there are.

    Returns:
        Shape ``(batch, columns)``.
    """
    errors, weights, start = [], [], 0
    several = np.bincount([group.column for group in groups], minlength=columns)
    for kind, owners in runs(groups):
        stop = start + sum(group.size for group in owners)
        errors.append(ERRORS.get(kind, squared_error)(raw[:, start:stop], targets[:, start:stop]))
        for group in owners:
            count = 1 if kind == ONE_HOT else group.size
            row = np.zeros((count, columns), dtype=np.float32)
            row[:, group.column] = 1 / (count * several[group.column])
            weights.append(row)
        start = stop
    return ops.matmul(ops.concatenate(errors, axis=-1), ops.convert_to_tensor(np.concatenate(weights)))


def runs(groups: Sequence[Group]) -> list[tuple[str, list[Group]]]:
    """Groups that one formula serves together: neighbours of one kind, but each one-hot code alone.

    Args:
        groups: in their order.
    """
    found: list[tuple[str, list[Group]]] = []
    for group in groups:
        if found and found[-1][0] == group.kind != ONE_HOT:
            found[-1][1].append(group)
        else:
            found.append((group.kind, [group]))
    return found


def chance(table: Table) -> float:
    """The mean error of a cell for a model that knows the marginal distributions and nothing else.

    Args:
        table: fitted; the marginals are those of its training rows.
    """
    known = table.known
    errors: list[list[float]] = [[] for _ in known.columns]
    start = 0
    for group in known.groups:
        stop = start + group.size
        mean = np.clip(np.asarray(known.mean[start:stop]), 1e-12, 1.0)
        if group.kind == ONE_HOT:
            error = float(-(mean * np.log(mean)).sum())
        elif group.kind == BITS:
            other = np.clip(1 - mean, 1e-12, 1.0)
            error = float(-(mean * np.log(mean) + other * np.log(other)).mean())
        else:
            error = float(np.mean(known.variance[start:stop]))
        errors[group.column].append(error)
        start = stop
    return float(np.mean([np.mean(own) for own in errors if own]))


def table_of(views: Preprocessor | None, objective: str) -> Table:
    """The table preprocessor of an objective that restores clean cells.

    Args:
        views: what it was given.
        objective: its name, for messages.

    Raises:
        UsageError: if it is another one, not fitted, or its first view is corrupted.
    """
    if not isinstance(views, Table) or not views.fitted:
        raise UsageError(
            f"objective {objective} needs the fitted preprocessor 'tables/table', which knows the columns. "
            "From Python: views = kptk.preprocessor('table', anchor='clean'); views.fit(source)"
        )
    if views.anchor != "clean":
        raise UsageError(
            f"objective {objective} restores clean rows, so the first view must be clean: -o preprocessor.anchor=clean"
        )
    return views
