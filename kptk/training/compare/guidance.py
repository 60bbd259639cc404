"""What to do with a comparison's result: at each number of labels the arm to take, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kptk.comparing.config import ComparisonConfig
from kptk.training.compare.verdict import Finding, joined, places

CHEAPER = 0.8
"""An equally good arm is named if it takes at most this share of the seconds."""


def guidance(
    config: ComparisonConfig,
    means: Mapping[tuple[str, int], float],
    findings: Sequence[Finding],
    costs: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Sentences that say which arm to take, from figures alone.

    The best mean leads. If training from scratch is not shown to be worse than it, pre-training is not worth its time there; if
    an arm that is not shown to be worse takes much less time, that one is named as well. Arms that see the labels of all
    rows are no choice for somebody who has few, and are left out.

    Args:
        config: the comparison.
        means: accuracy of each arm at each number of labels.
        findings: differences of arms, as far as they were tested.
        costs: seconds of each arm's pre-training, under ``"arm"`` and ``"seconds"``.

    Returns:
        A sentence for each different answer; none with fewer than two seeds.
    """
    if not findings or findings[0].seeds < 2:
        return []
    seconds = {str(row["arm"]): float(row["seconds"]) for row in costs if "seconds" in row}
    arms = [arm for arm in config.arms if not arm.sees_labels]
    scratch = {arm.name for arm in arms if arm.scratch}
    answers: dict[str, list[int]] = {}
    for labels in config.labels:
        known = [arm.name for arm in arms if (arm.name, labels) in means]
        if len(known) > 1:
            best = max(known, key=lambda name: means[name, labels])
            equal = [name for name in known if name != best and not _worse(name, best, labels, findings)]
            answers.setdefault(_answer(best, equal, scratch, seconds), []).append(labels)
    return [f"{_capital(places(labels))}: {answer}" for answer, labels in answers.items()]


def _worse(name: str, best: str, labels: int, findings: Sequence[Finding]) -> bool:
    """Whether a test showed that an arm is worse; two arms that were not tested against each other are not."""
    for found in findings:
        if found.labels_per_class == labels and {found.first, found.second} == {name, best}:
            ahead = found.first if found.mean > 0 else found.second
            return found.real and ahead == best
    return False


def _answer(best: str, equal: list[str], scratch: set[str], seconds: Mapping[str, float]) -> str:
    if best in scratch or scratch & set(equal):
        if best in scratch and set(equal) <= scratch and len(scratch) > 1:
            return _take(best, equal)
        name = best if best in scratch else next(name for name in equal if name in scratch)
        return (
            f"pre-training is not shown to gain anything over {name}; more seeds or a larger budget would tell, and until they "
            f"do {name} is the cheaper choice."
        )
    cheap = [name for name in equal if seconds.get(name, 0.0) < CHEAPER * seconds.get(best, 0.0)]
    if cheap:
        name = min(cheap, key=lambda name: seconds[name])
        share = 100 * seconds[name] / seconds[best]
        return f"{_take(best, [])[:-1]}; {name} is not shown to be worse and takes {share:.0f} % of its time."
    return _take(best, equal)


def _take(best: str, equal: list[str]) -> str:
    if equal:
        return f"take {best}, or any of {joined(equal, ', ')}, which {'are' if len(equal) > 1 else 'is'} not shown to be worse."
    return f"take {best}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
