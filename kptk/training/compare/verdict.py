"""What a comparison found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANT = 0.05


PAIRS_TOLD = 15
"""More pairs of arms than these are counted rather than told in words: six arms beside the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The difference of two arms at one number of labels.

    Args:
        first: one arm.
        second: the other.
        labels_per_class: 0 for all.
        mean: mean of first minus second, as a share of 1.
        low: lower end of its 95 % interval.
        high: upper end.
        seeds: pairs.
        p: of the paired test.
        p_holm: corrected for all tests of its family.
        tests: tests of that family.
    """

    first: str
    second: str
    labels_per_class: int
    mean: float
    low: float
    high: float
    seeds: int
    p: float
    p_holm: float
    tests: int

    @property
    def real(self) -> bool:
        """Whether there is a difference, as far as the test can tell."""
        return self.p_holm < SIGNIFICANT

    @property
    def place(self) -> str:
        """At how many labels, in words."""
        if not self.labels_per_class:
            return "at all labels"
        return f"at {self.labels_per_class} label{'s' if self.labels_per_class > 1 else ''} per class"

    @property
    def interval(self) -> str:
        """The interval in points, ``"[3.9, 8.4]"``, seen from whoever is ahead."""
        low, high = (self.low, self.high) if self.mean >= 0 else (-self.high, -self.low)
        return f"[{100 * low:.1f}, {100 * high:.1f}]"


def sentences(against: Sequence[Finding], between: Sequence[Finding], margin: float) -> list[str]:
    """A sentence for each arm against the baseline, and one for each pair of other arms that differ.

    Args:
        against: each arm against the baseline.
        between: arms against each other.
        margin: differences within it count as none, as a share of 1.
    """
    lines = [sentence(group, margin) for group in _grouped(against)]
    pairs = _grouped(between)
    told = [group for group in pairs if any(finding.real for finding in group)]
    if against and against[0].seeds < 2:
        return [*lines, "One seed says nothing on chance: use --seeds 5."]
    if len(pairs) > PAIRS_TOLD:
        return [
            *lines,
            f"Of the {len(pairs):,} other pairs of arms {len(told):,} differ: see the table of differences.",
        ]
    lines += [sentence([finding for finding in group if finding.real], margin) for group in told]
    same = [f"{group[0].first} and {group[0].second}" for group in pairs if group not in told]
    if same:
        lines.append(f"No difference could be shown between {joined(same, '; ')}.")
    return lines


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.first, finding.second), []).append(finding)
    return list(groups.values())


def sentence(findings: Sequence[Finding], margin: float) -> str:
    """What was found of two arms, over all numbers of labels.

    Args:
        findings: of the same two arms.
        margin: differences within it count as none, as a share of 1.

    Example:
        >>> finding = Finding(
        ...     first="a",
        ...     second="b",
        ...     labels_per_class=5,
        ...     mean=0.061,
        ...     low=0.039,
        ...     high=0.084,
        ...     seeds=5,
        ...     p=0.001,
        ...     p_holm=0.002,
        ...     tests=2,
        ... )
        >>> sentence([finding], 0.01)
        'a beats b by 6.1 points at 5 labels per class [3.9, 8.4].'
    """
    first, second = findings[0].first, findings[0].second
    if findings[0].seeds < 2:
        gains = ", ".join(f"{100 * finding.mean:+.1f} points {finding.place}" for finding in findings)
        return f"{first} against {second}: {gains}."
    ahead = [finding for finding in findings if finding.real and finding.mean > 0]
    behind = [finding for finding in findings if finding.real and finding.mean < 0]
    none = [finding for finding in findings if not finding.real]
    parts = []
    if ahead:
        parts.append(f"{first} beats {second} by {_listed(ahead)}")
    if behind:
        parts.append(f"{'it' if ahead else first} falls behind {'' if ahead else second + ' '}by {_listed(behind)}")
    equal = [finding for finding in none if max(abs(finding.low), abs(finding.high)) <= margin]
    open_ = [finding for finding in none if finding not in equal]
    names = "" if parts else f" between {first} and {second}"
    if equal:
        parts.append(f"{_places(equal)} there is no difference{names} {_intervals(equal)}")
        names = ""
    if open_:
        parts.append(f"{_places(open_)} no difference{names} could be shown {_intervals(open_)}")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "." if text.startswith("at ") else text + "."


def _listed(findings: Sequence[Finding]) -> str:
    return joined(
        [f"{100 * abs(f.mean):.1f} points {f.place} {f.interval}" for f in findings],
        ", ",
    )


def _places(findings: Sequence[Finding]) -> str:
    return places([f.labels_per_class for f in findings])


def places(labels: Sequence[int]) -> str:
    """Numbers of labels in words.

    Args:
        labels: labels per class, 0 for all.

    Example:
        >>> places([1, 5, 0])
        'at 1 and 5 labels per class, at all labels'
    """
    numbers = [str(number) for number in labels if number]
    found = []
    if numbers:
        plural = "s" if numbers != ["1"] else ""
        found.append(f"at {joined(numbers, ', ')} label{plural} per class")
    if not all(labels):
        found.append("at all labels")
    return ", ".join(found)


def _intervals(findings: Sequence[Finding]) -> str:
    texts = [f"{100 * f.mean:+.1f} [{100 * f.low:.1f}, {100 * f.high:.1f}]" for f in findings]
    return f"({', '.join(texts)})"


def joined(words: Sequence[str], comma: str) -> str:
    """Words with "and" before the last.

    Args:
        words: one at least.
        comma: between the others.
    """
    return words[0] if len(words) == 1 else f"{comma.join(words[:-1])} and {words[-1]}"
