"""A small table of numbers, from the installed scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kptk.columns import NUMBER, Column
from kptk.data import ArraySource


def breast_cancer() -> ArraySource:
    """Open the UCI data set Breast Cancer Wisconsin (Diagnostic): 30 measures of 427 cell nuclei, and 142 as `holdout`.

    Returns:
        Rows of 30 numbers, labels ``malignant`` and ``benign``.

    Example:
        >>> source = breast_cancer()
        >>> len(source), len(source.holdout()), source.class_names
        (427, 142, ('malignant', 'benign'))

    References:
        Wolberg, Mangasarian, Street and Street (1993), UCI Machine Learning Repository; from scikit-learn's copy.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    names = tuple(str(name) for name in bunch.target_names)
    order = np.random.default_rng(0).permutation(len(bunch.data))
    cells = bunch.data.astype(object)

    def part(rows: NDArray[np.int64], name: str, holdout: ArraySource | None = None) -> ArraySource:
        made = ArraySource(
            cells[rows], bunch.target[rows], inputs="table", name=name, class_names=names, holdout=holdout
        )
        made.columns = tuple(Column(str(feature), NUMBER) for feature in bunch.feature_names)
        return made

    return part(order[142:], "breast_cancer", part(order[:142], "breast_cancer test part"))
