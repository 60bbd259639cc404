"""Rows of the model made of pairs: both sides prepared as single inputs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.examples import objects
from kptk_text_tasks.example_rows import ModelRows, answers_of, read_all

Array = NDArray[Any]
POSITIVE = float("inf")
"""The score of a pair that belongs together, where pairs have no scores."""


@dataclass(frozen=True, slots=True)
class PairNote:
    """What a row holds.

    Args:
        first: a text.
        second: the text that it is compared with.
    """

    first: str
    second: str


def scored_rows(source: Source, preprocessor: Any, owner: str) -> ModelRows:
    """Number the tokens of both texts of each pair, each as if it were alone.

    The labels have three columns: the score, NaN where it is not known and `POSITIVE` in data without scores; and a number for
    the text on either side, the same for the same text.

    Args:
        source: pairs of texts, with scores as targets where there are some.
        preprocessor: turns texts into numbers.
        owner: name of the task.

    Raises:
        InputError: if a row is no pair of texts, or a score no number.
        UsageError: if the preprocessor takes no texts.
    """
    if preprocessor is None or not preprocessor.fits or preprocessor.kind != "text":
        raise UsageError(
            f"task {owner} needs a preprocessor of texts for pairs of texts. Received: "
            f"{'none' if preprocessor is None else type(preprocessor).__name__}. Use text_tokens: --preprocessor text_tokens"
        )
    pairs = _pairs(source)
    sides = [preprocessor.prepare(objects([pair[side] for pair in pairs])) for side in (0, 1)]
    return ModelRows(
        source,
        np.stack(sides, axis=1),
        np.column_stack([_scores(source), _numbers(pairs)]),
        list(range(len(pairs))),
        [PairNote(*pair) for pair in pairs],
        lambda other: scored_rows(other, preprocessor, owner),
    )


def _pairs(source: Source) -> list[tuple[str, str]]:
    pairs = read_all(source)
    for number, pair in enumerate(pairs):
        fine = isinstance(pair, (tuple, list, np.ndarray)) and len(pair) == 2
        if not fine or not all(isinstance(side, str) and side.strip() for side in pair):
            raise InputError(
                f"{source.describe()}: row {number:,} must be a pair of texts that are not empty. Received: {pair!r:.60}."
            )
    return [(str(pair[0]), str(pair[1])) for pair in pairs]


def _scores(source: Source) -> Array:
    if source.targets is None:
        return np.full(len(source), POSITIVE)
    try:
        return np.array([np.nan if score is None else float(score) for score in answers_of(source)])
    except (TypeError, ValueError):
        raise InputError(
            f"{source.describe()}: the score of a pair must be a number, or None where there is none."
        ) from None


def _numbers(pairs: list[tuple[str, str]]) -> Array:
    known: dict[str, int] = {}
    return np.array([[known.setdefault(side, len(known)) for side in pair] for pair in pairs], dtype=np.float64)
