"""chrF: how many characters, pairs of characters and so on two texts have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

ORDER = 6
BETA = 2.0


def character_ngrams(text: str, order: int) -> Counter[str]:
    """The runs of so many characters in a text without its spaces.

    Args:
        text: the text.
        order: characters of a run.
    """
    bare = "".join(text.split())
    return Counter(bare[start : start + order] for start in range(len(bare) - order + 1))


def chrf(truths: Sequence[str], guesses: Sequence[str]) -> float:
    """chrF2 of a corpus, 0 to 100: F-score of character runs of 1 to 6, recall counting twice as much as precision.

    Precision and recall of each length are of the counts of all texts together; their means are taken over the lengths that both
    sides have; ``F = (1 + beta^2) P R / (beta^2 P + R)``. So sacrebleu's ``chrF2`` counts by default, with one reference a text.

    Args:
        truths: the right text of each row.
        guesses: the written one.

    Example:
        >>> round(chrf(["the cat"], ["the cat"]), 1), round(chrf(["abc"], ["abd"]), 1)
        (100.0, 38.9)

    References:
        Popovic 2015, https://aclanthology.org/W15-3049; https://github.com/mjpost/sacrebleu
    """
    precisions, recalls = [], []
    for order in range(1, ORDER + 1):
        right = written = wanted = 0
        for truth, guess in zip(truths, guesses, strict=True):
            a, b = character_ngrams(truth, order), character_ngrams(guess, order)
            right += sum((a & b).values())
            wanted += sum(a.values())
            written += sum(b.values())
        if written and wanted:
            precisions.append(right / written)
            recalls.append(right / wanted)
    if not precisions:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    if not precision + recall:
        return 0.0
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
