"""The bundled Wikipedia articles."""

from __future__ import annotations

from importlib import resources

from kptk_text.rows import TextRows
from kptk_text.text_file import text_file


def wiki_mini(*, rows: str = "paragraph") -> TextRows:
    """Open 103 articles of the English Wikipedia, 2.8 MB.

    Args:
        rows: what a row is: ``"paragraph"``, or ``"article"`` with all of its paragraphs.

    Returns:
        Rows in the order of the articles; an article begins with its title, ``= Anarchism =``.

    Example:
        >>> len(wiki_mini()), len(wiki_mini(rows="article"))
        (8183, 103)

    References:
        Wikipedia contributors, CC BY-SA 3.0; from gensim's test data.
    """
    file = resources.files("kptk_text") / "data" / "wiki_mini.txt.xz"
    with resources.as_file(file) as path:
        return text_file(str(path), unit={"paragraph": "line", "article": "paragraph"}[rows]).named("wiki_mini")
