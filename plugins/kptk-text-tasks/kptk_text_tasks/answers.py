"""How well answers answer: exact match and F1 as SQuAD counts them, and the best spans of start and end scores."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def normalise(text: str) -> str:
    """An answer without capital letters, punctuation, articles and needless spaces.

    Args:
        text: the answer.

    Example:
        >>> normalise("The  Eiffel Tower, (Paris)")
        'eiffel tower paris'

    References:
        SQuAD's evaluate-v2.0.py, https://arxiv.org/abs/1806.03822
    """
    bare = "".join(letter for letter in text.lower() if letter not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(truth: str, guess: str) -> float:
    """1 if two answers are the same once they are normalised.

    Args:
        truth: the right answer; empty for none.
        guess: the predicted one.
    """
    return float(normalise(truth) == normalise(guess))


def word_f1(truth: str, guess: str) -> float:
    """F1 of the words that two answers have in common; where one is empty, whether both are.

    Args:
        truth: the right answer; empty for none.
        guess: the predicted one.

    Example:
        >>> word_f1("in the year 1889", "1889")
        0.5
    """
    wanted, given = normalise(truth).split(), normalise(guess).split()
    if not wanted or not given:
        return float(wanted == given)
    shared = sum((Counter(wanted) & Counter(given)).values())
    return 2 * shared / (len(wanted) + len(given))


def best_of(measure: Any, truths: Sequence[str], guess: str) -> float:
    """The measure against the right answer that it fits best.

    Args:
        measure: `exact_match` or `word_f1`.
        truths: the right answers; empty if there is none to the question.
        guess: the predicted one.
    """
    # SQuAD leaves out right answers of which nothing is left, such as "the".
    kept = [truth for truth in truths if normalise(truth)] or [""]
    return max(float(measure(truth, guess)) for truth in kept)


def best_spans(start: Array, end: Array, allowed: Array, longest: int, count: int) -> list[tuple[float, int, int]]:
    """The spans with the largest sums of start and end score, best first; every span is looked at.

    Args:
        start: score of each place as the first of an answer, shape ``(length,)``.
        end: score of each place as the last.
        allowed: places at which an answer may begin, of the places in `start` that are part of the text: True to begin, False
            to go on only; shape ``(length,)``.
        longest: places of an answer at most.
        count: how many spans.

    Returns:
        Score, first place and last place.

    Example:
        >>> best_spans(np.array([0.0, 2.0, 0.0]), np.array([3.0, 0.0, 1.0]), np.array([True, True, True]), 3, 1)
        [(3.0, 0, 0)]
    """
    places = np.arange(len(start))
    far = places[None, :] - places[:, None]
    sums = np.where((far >= 0) & (far < longest) & allowed[:, None], start[:, None] + end[None, :], -np.inf).ravel()
    count = min(count, int(np.isfinite(sums).sum()))
    chosen = np.argpartition(-sums, count - 1)[:count] if count else np.zeros(0, dtype=np.int64)
    chosen = chosen[np.argsort(-sums[chosen], kind="stable")]
    return [(float(sums[index]), int(index // len(start)), int(index % len(start))) for index in chosen]
