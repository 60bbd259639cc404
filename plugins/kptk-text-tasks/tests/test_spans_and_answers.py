"""Spans and answers as seqeval and SQuAD count them, and windows over long texts."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from kptk_text_tasks.answers import best_of, best_spans, exact_match, normalise, word_f1
from kptk_text_tasks.spans import count_spans, marks_spans, spans
from kptk_text_tasks.windows import owners, windows


def conlleval(tags):
    """Spans of BIO tags written as text, found by a regular expression: nothing in common with the code that is tested.

    A tag is a letter for its prefix and a number for its kind; a span is B or I and all I of the same kind behind it.
    """
    text = "".join("O0" if tag == "O" else tag[0] + {"X": "1", "Y": "2"}[tag[2:]] for tag in tags)
    found = re.finditer(r"[BI](\d)(?:I\1)*", text)
    return [({"1": "X", "2": "Y"}[m[1]], m.start() // 2, m.end() // 2) for m in found]


def test_spans_are_those_of_conlleval() -> None:
    """Every sequence of up to five tags of two kinds, valid or not."""
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    for length in range(1, 6):
        for sequence in itertools.product(tags, repeat=length):
            assert spans(sequence) == conlleval(sequence), sequence


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (["B-X", "E-X", "S-X", "S-Y"], [("X", 0, 2), ("X", 2, 3), ("Y", 3, 4)]),
        (["B-X", "L-X", "U-X", "O"], [("X", 0, 2), ("X", 2, 3)]),
        (["E-X", "I-X"], [("X", 0, 1), ("X", 1, 2)]),
        (["I-PER-SON", "I-PER-SON"], [("PER-SON", 0, 2)]),
        ([], []),
    ],
)
def test_schemes_with_ends(tags, wanted) -> None:
    assert spans(tags) == wanted


def test_the_published_example_of_seqeval() -> None:
    """The example of seqeval's README: F1 0.50, MISC 0.00 of one span, PER 1.00 of one."""
    truth = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    guess = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    counts = count_spans(truth, guess)
    assert {kind: counted.f1 for kind, counted in counts.items()} == {"": 0.5, "MISC": 0.0, "PER": 1.0}
    assert (counts[""].precision, counts[""].recall, counts["MISC"].true) == (0.5, 0.5, 1)


def test_spans_of_two_sentences_do_not_meet() -> None:
    counts = count_spans([["B-X"], ["I-X"]], [["B-X"], ["O"]])
    assert (counts[""].true, counts[""].right) == (2, 1)


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [(("O", "B-X", "I-X"), True), (("O", "I-X"), True), (("NOUN", "VERB"), False), (("O", "NOUN"), False)],
)
def test_which_tags_mark_spans(tags, wanted) -> None:
    assert marks_spans(tags) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Eiffel Tower!", "eiffel tower"),
        ("an  apple, a day", "apple day"),
        ("theory of a", "theory of"),
        ("1,889.5", "18895"),
        ("the", ""),
    ],
)
def test_answers_are_normalised_as_in_squad(text, wanted) -> None:
    assert normalise(text) == wanted


@pytest.mark.parametrize(
    ("truth", "guess", "exact", "overlap"),
    [
        ("the cat", "cat", 1.0, 1.0),
        ("black cat", "cat", 0.0, 2 / 3),
        ("cat cat dog", "cat", 0.0, 0.5),
        ("", "", 1.0, 1.0),
        ("", "cat", 0.0, 0.0),
        ("dog", "cat", 0.0, 0.0),
    ],
)
def test_exact_match_and_f1(truth, guess, exact, overlap) -> None:
    assert exact_match(truth, guess) == exact
    assert word_f1(truth, guess) == pytest.approx(overlap)


def test_the_best_of_several_right_answers_counts() -> None:
    assert best_of(word_f1, ["black cat", "cat"], "the cat") == 1.0
    assert best_of(exact_match, [], "") == 1.0
    assert best_of(exact_match, ["the"], "") == 1.0  # nothing is left of it, so SQuAD leaves it out


def test_best_spans_are_those_of_a_loop_over_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        start, end, allowed = rng.normal(size=9), rng.normal(size=9), rng.random(9) < 0.6
        every = sorted(
            ((start[a] + end[b], a, b) for a in range(9) for b in range(a, min(a + 4, 9)) if allowed[a]), reverse=True
        )
        found = best_spans(start, end, allowed, 4, 5)
        assert [(a, b) for _, a, b in found] == [(a, b) for _, a, b in every[:5]]
        np.testing.assert_allclose([value for value, _, _ in found], [value for value, _, _ in every[:5]])
    assert best_spans(start, end, np.zeros(9, bool), 4, 5) == []


def test_windows_hold_everything_and_overlap() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        sizes = rng.integers(1, 5, rng.integers(1, 40))
        room = int(rng.integers(1, 12))
        overlap = int(rng.integers(0, room // 2 + 1))
        found = windows(sizes, room, overlap)
        fitting = np.minimum(sizes, room)
        assert found[0][0] == 0 and found[-1][1] == len(sizes)
        for first, last in found:
            assert 0 < fitting[first:last].sum() <= room
        for (first, last), (again, _) in itertools.pairwise(found):
            assert first < again <= last and fitting[again:last].sum() <= overlap
        owner = owners(found, len(sizes))
        assert all(found[window][0] <= item < found[window][1] for item, window in enumerate(owner))
        assert (np.diff(owner) >= 0).all()


def test_an_item_belongs_where_it_has_most_around_it() -> None:
    found = windows(np.ones(20, int), room=10, overlap=4)
    owner = owners(found, 20)
    for item in range(20):
        around = [min(item - a, b - 1 - item) if a <= item < b else -1 for a, b in found]
        assert around[owner[item]] == max(around)
