"""Scores of word vectors: agreement with human judgements of similarity, and analogies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kptk.errors import InputError
from kptk_words.keyed_vectors import KeyedVectors

RESTRICTED = 30_000
"""Answers to analogies are looked for among so many of the most frequent words, as the C program and gensim do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score and on how much of the test it rests.

    Args:
        figure: Spearman's rank correlation, or the share of right answers; NaN if nothing could be scored.
        scored: questions of which every word has a vector.
        asked: questions of the test.
    """

    figure: float
    scored: int
    asked: int


def similarity(vectors: KeyedVectors, path: Path) -> Score:
    """Spearman's correlation of cosines with human scores, over the pairs whose words both have vectors.

    Args:
        vectors: the vectors.
        path: lines of word, word and number, separated by tabs or commas; lines that start with ``#`` are left out.

    Raises:
        InputError: if the file has no such line.
    """
    from scipy.stats import spearmanr

    cosines, judged, asked = [], [], 0
    for line in _lines(path):
        parts = line.replace(",", "\t").split("\t") if "\t" not in line else line.split("\t")
        try:
            score = float(parts[2])
        except (IndexError, ValueError):
            continue  # a heading
        asked += 1
        rows = [_row(vectors, word) for word in parts[:2]]
        if None not in rows:
            cosines.append(float(vectors.unit[rows[0]] @ vectors.unit[rows[1]]))
            judged.append(score)
    if not asked:
        raise InputError(f"{path} has no line of two words and a number, separated by tabs.")
    figure = float(spearmanr(cosines, judged)[0]) if len(cosines) > 2 else float("nan")
    return Score(figure=figure, scored=len(cosines), asked=asked)


def analogies(vectors: KeyedVectors, path: Path) -> Score:
    """Share of questions ``a b c d`` whose word nearest to ``b - a + c``, these three left out, is ``d``.

    Args:
        vectors: the vectors.
        path: lines of four words; lines that start with ``:`` name a section.

    Raises:
        InputError: if the file has no such line.

    References:
        https://arxiv.org/abs/1301.3781, section 4.1
    """
    limit = min(RESTRICTED, len(vectors.words))
    questions, asked = [], 0
    for line in _lines(path):
        words = line.split()
        if line.startswith(":") or len(words) != 4:
            continue
        asked += 1
        rows = [_row(vectors, word) for word in words]
        if all(row is not None and row < limit for row in rows):
            questions.append(rows)
    if not asked:
        raise InputError(f"{path} has no line of four words.")
    right = 0
    unit = vectors.unit[:limit]
    for start in range(0, len(questions), 512):
        a, b, c, d = np.array(questions[start : start + 512], np.int64).T
        cosine = (unit[b] - unit[a] + unit[c]) @ unit.T
        for known in (a, b, c):
            cosine[np.arange(len(known)), known] = -np.inf
        right += int((cosine.argmax(axis=1) == d).sum())
    return Score(figure=right / len(questions) if questions else float("nan"), scored=len(questions), asked=asked)


def _row(vectors: KeyedVectors, word: str) -> int | None:
    word = word.strip()
    return vectors.index.get(word, vectors.index.get(word.lower()))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start:,}).") from None
    return [line for line in lines if line.strip() and not line.startswith("#")]
