"""Reader of pairs of texts to compare, with a score of each pair or without."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kptk.errors import InputError
from kptk.reading import is_test_row
from kptk.tablerows import BadRows, table_rows
from kptk_text_tasks.example_rows import ExampleRows
from kptk_text_tasks.named_columns import column

FIRST = ("first", "text1", "text_1", "sentence1", "sentence_1", "question1", "anchor", "query", "question", "text_a")
SECOND = (
    "second",
    "text2",
    "text_2",
    "sentence2",
    "sentence_2",
    "question2",
    "positive",
    "passage",
    "answer",
    "text_b",
)
SCORE = ("score", "similarity", "similarity_score", "relatedness", "label", "is_duplicate")


@dataclass(slots=True)
class _Found:
    pairs: list[tuple[str, str]] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)


def scored_pairs(
    path: str,
    *,
    first: str = "",
    second: str = "",
    score: str = "",
    delimiter: str = "auto",
    encoding: str = "utf-8",
    on_bad_input: str = "error",
) -> ExampleRows:
    """Open pairs of texts, each with a number that says how alike they are; without numbers, if the two texts belong together.

    A column split that says train or test keeps the test rows apart, as `holdout`.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also packed) or ``.parquet`` file.
        first: name of the column of first texts; by default first, text1, sentence1, question1, anchor or query ...
        second: name of the column of second texts; by default second, text2, sentence2, question2, positive or passage ...
        score: name of the column of scores; by default score, similarity, label ..., where there is one; ``-`` for none.
        delimiter: between the cells of a ``.csv`` file, one character or its name; ``"auto"`` looks at the header.
        encoding: of the file.
        on_bad_input: ``"error"`` refuses rows with an empty text or without a score, ``"skip"`` leaves them out and lists them.

    Returns:
        A pair a row, with its score as target.

    Raises:
        InputError: if the file cannot be read, a column is missing, a text is empty, or a score is no number.
    """
    file = Path(path)
    bad = BadRows(path, on_bad_input)
    parts = {False: _Found(), True: _Found()}
    names: tuple[str, str, str] | None = None
    for number, row in table_rows(file, bad, delimiter=delimiter, encoding=encoding):
        names = names or _columns(path, list(row), first, second, score)
        texts = (row.get(names[0]), row.get(names[1]))
        reason = next(
            (_no_text(name, text) for name, text in zip(names, texts, strict=False) if _no_text(name, text)), ""
        )
        value = _number(row.get(names[2])) if names[2] else None
        if not reason and names[2] and value is None:
            reason = f"its score, column '{names[2]}', must be a number. Received: {row.get(names[2])!r:.60}"
        if reason:
            bad(number, reason)
            continue
        part = parts[is_test_row(row, f"{path}, row {number:,}")]
        part.pairs.append((str(texts[0]).strip(), str(texts[1]).strip()))
        part.scores.append(value)
    if parts[True].pairs and not parts[False].pairs:
        raise InputError(f"{file.name}: every row is marked as a test row, so there is nothing to learn from.")
    test, train = parts[True], parts[False]
    holdout = ExampleRows(test.pairs, test.scores, name=f"{file.name} test part", what="pairs") if test.pairs else None
    return ExampleRows(train.pairs, train.scores, name=file.name, what="pairs", skipped=bad.listed, holdout=holdout)


def _columns(path: str, names: list[str], first: str, second: str, score: str) -> tuple[str, str, str]:
    found = (
        column(path, names, first, "first", FIRST),
        column(path, names, second, "second", SECOND),
        column(path, names, score, "score", SCORE, needed=False),
    )
    if found[0] == found[1]:
        raise InputError(
            f"{path}: both texts of a pair would come from column '{found[0]}'. Name two: -o data.first=NAME "
            f"-o data.second=NAME. Its columns: {', '.join(names)}."
        )
    return found


def _no_text(name: str, text: Any) -> str:
    if isinstance(text, str) and text.strip():
        return ""
    return f"column '{name}' must be a text that is not empty. Received: {text!r:.60}"


def _number(cell: Any) -> float | None:
    """A score, or None if the cell holds no number."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
