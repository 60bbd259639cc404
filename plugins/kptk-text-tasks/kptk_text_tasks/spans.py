"""Spans of words from their tags, and how well spans were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = "O"
BEGINNINGS, ENDINGS = ("B", "S", "U"), ("E", "S", "L", "U")
"""Prefixes of a tag with which a span always begins, or always ends: IOB2, and the schemes that mark ends and single words."""

Span = tuple[str, int, int]


def parts_of(tag: str) -> tuple[str, str]:
    """Prefix and kind of a tag; a tag without a prefix is inside of a span of its own name.

    Args:
        tag: such as ``"B-PER"``.

    Example:
        >>> parts_of("B-PER"), parts_of("O")
        (('B', 'PER'), ('O', ''))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if dash and prefix in ("B", "I", "E", "S", "L", "U") else ("I", tag)


def marks_spans(tags: Sequence[str]) -> bool:
    """Whether tags mark spans of words (``B-PER``, ``I-PER``) and are not one class a word (``NOUN``).

    Args:
        tags: every tag there is.
    """
    return any(tag.startswith("B-") for tag in tags) or (
        OUTSIDE in tags and all(tag == OUTSIDE or tag.startswith(("I-", "E-", "S-", "L-", "U-")) for tag in tags)
    )


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that tags mark: kind, first word, word behind the last.

    A span begins at ``B-X``, at ``I-X`` behind ``O`` and where the kind changes; it ends before a word that begins another one
    or is outside. So `seqeval` counts unless it is told to be strict, and CoNLL-2000's ``conlleval`` before it.

    Args:
        tags: of the words of one sentence, in IOB1, IOB2, or a scheme with ends (``E-``, ``L-``) and single words (``S-``).

    Example:
        >>> spans(["B-PER", "I-PER", "O", "B-LOC", "I-ORG"])
        [('PER', 0, 2), ('LOC', 3, 4), ('ORG', 4, 5)]

    References:
        https://github.com/chakki-works/seqeval; https://aclanthology.org/W00-0726/
    """
    found: list[Span] = []
    begun, before, kind_before = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = parts_of(tag)
        inside = before != OUTSIDE
        ends = inside and (prefix == OUTSIDE or prefix in BEGINNINGS or before in ENDINGS or kind != kind_before)
        if ends:
            found.append((kind_before, begun, place))
        if prefix != OUTSIDE and (ends or not inside):
            begun = place
        before, kind_before = prefix, kind
    return found


@dataclass(slots=True)
class SpanCounts:
    """How many spans there were, were predicted, and were predicted rightly.

    Args:
        true: spans that were there.
        predicted: spans that were predicted.
        right: predicted spans of the right kind with the right first and last word.
    """

    true: int = 0
    predicted: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """Share of the predicted that are right; 0 if there are none."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the true that were predicted; 0 if there are none."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.true + self.predicted) if self.true + self.predicted else 0.0


def count_spans(truth: Sequence[Sequence[str]], guess: Sequence[Sequence[str]]) -> dict[str, SpanCounts]:
    """Count spans by kind; ``""`` is for all of them together (the micro average).

    Args:
        truth: the tags of each sentence.
        guess: the predicted tags of each.
    """
    counts = {"": SpanCounts()}
    for wanted, given in zip(truth, guess, strict=True):
        true, predicted = set(spans(wanted)), set(spans(given))
        for name, group in (("true", true), ("predicted", predicted), ("right", true & predicted)):
            for span in group:
                for kind in ("", span[0]):
                    counted = counts.setdefault(kind, SpanCounts())
                    setattr(counted, name, getattr(counted, name) + 1)
    return counts
