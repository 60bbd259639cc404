"""The bundled table of people."""

from __future__ import annotations

from importlib import resources

from kptk.data import Source
from kptk_tables.table_file import table_file


def adult() -> Source:
    """Open the UCI data set Adult: 26,049 people with income above or below 50,000 dollars, and 6,512 as `holdout`.

    Returns:
        Rows of 13 columns, labels ``<=50K`` and ``>50K``.

    Example:
        >>> source = adult()
        >>> len(source), len(source.holdout()), source.class_names
        (26049, 6512, ('<=50K', '>50K'))

    References:
        Becker and Kohavi (1996), Adult, UCI Machine Learning Repository, CC BY 4.0.
    """
    file = resources.files("kptk_tables") / "data" / "adult.csv.xz"
    with resources.as_file(file) as path:
        source = table_file(str(path), label="income", split="split")
    return source.called("adult")
