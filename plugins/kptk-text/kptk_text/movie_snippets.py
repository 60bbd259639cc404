"""The bundled sentences of film reviews."""

from __future__ import annotations

from importlib import resources

from kptk_text.rows import TextRows
from kptk_text.text_table import text_table


def movie_snippets(*, predict: str = "polarity") -> TextRows:
    """Open 10,568 sentences of film reviews: 8,568 rows, and 2,000 as `holdout`.

    Args:
        predict: ``"polarity"`` for negative and positive, ``"valence"`` for the mean of people's ratings, -4 to 4, as a
            target for regression.

    Returns:
        One sentence a row.

    Example:
        >>> source = movie_snippets()
        >>> len(source), len(source.holdout()), source.class_names
        (8568, 2000, ('negative', 'positive'))

    References:
        Hutto and Gilbert (2014), VADER, https://doi.org/10.1609/icwsm.v8i1.14550
    """
    file = resources.files("kptk_text") / "data" / "movie_snippets.csv.xz"
    with resources.as_file(file) as path:
        source = text_table(str(path), label="label" if predict == "polarity" else predict).named("movie_snippets")
    if predict == "polarity":
        for part in (source, source.holdout()):
            assert part is not None
            part.class_names = ("negative", "positive")
    return source
