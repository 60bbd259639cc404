"""What to do with a comparison's result, from made-up figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kptk.comparing.config import ArmConfig, ComparisonConfig
from kptk.config import Part
from kptk.settings import COMPARE
from kptk.training.compare.guidance import guidance
from kptk.training.compare.verdict import Finding

NOTHING = Part(None, {})


def arm(name: str) -> ArmConfig:
    return ArmConfig(
        name=name,
        objective=None if name.startswith("scratch") else NOTHING,
        backbone=NOTHING,
        preprocessor=None,
        train=NOTHING,
    )


def config(*names: str, labels: str = "1,5") -> ComparisonConfig:
    values = {option.name: option.default for option in COMPARE} | {"labels_per_class": labels}
    return ComparisonConfig(data=NOTHING, source="", arms=tuple(map(arm, names)), baseline=names[-1], values=values)


def finding(first: str, second: str, labels: int, mean: float, *, real: bool, seeds: int = 5) -> Finding:
    p = 0.001 if real else 0.5
    return Finding(
        first=first,
        second=second,
        labels_per_class=labels,
        mean=mean,
        low=mean - 0.02,
        high=mean + 0.02,
        seeds=seeds,
        p=p,
        p_holm=p,
        tests=2,
    )


MEANS = {("a", 1): 0.6, ("b", 1): 0.58, ("scratch", 1): 0.4, ("a", 5): 0.8, ("b", 5): 0.7, ("scratch", 5): 0.79}
FINDINGS = [
    finding("a", "scratch", 1, 0.2, real=True),
    finding("a", "scratch", 5, 0.01, real=False),
    finding("b", "scratch", 1, 0.18, real=True),
    finding("b", "scratch", 5, -0.09, real=True),
    finding("a", "b", 1, 0.02, real=False),
    finding("a", "b", 5, 0.1, real=True),
]


def test_the_best_is_named_with_those_not_shown_to_be_worse_and_where_nothing_is_gained() -> None:
    assert guidance(config("a", "b", "scratch"), MEANS, FINDINGS, []) == [
        "At 1 label per class: take a, or any of b, which is not shown to be worse.",
        "At 5 labels per class: pre-training is not shown to gain anything over scratch; more seeds or a larger budget would "
        "tell, and until they do scratch is the cheaper choice.",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(7.0, "b is not shown to be worse and takes 70 % of its time."), (9.0, "or any of b")]
)
def test_an_equal_arm_that_is_much_cheaper_is_named(seconds, said) -> None:
    costs = [{"arm": "a", "seconds": 10.0}, {"arm": "b", "seconds": seconds}]
    assert said in guidance(config("a", "b", "scratch", labels="1"), MEANS, FINDINGS, costs)[0]


def test_arms_that_see_every_label_are_no_choice(monkeypatch) -> None:
    monkeypatch.setattr(ArmConfig, "sees_labels", property(lambda self: self.name == "a"))
    said = guidance(config("a", "b", "scratch", labels="1"), MEANS, FINDINGS, [])
    assert said == ["At 1 label per class: take b."]


def test_arms_without_pre_training_are_compared_with_each_other() -> None:
    """Ways to prepare a table, each from scratch."""
    means = {("scratch_a", 1): 0.6, ("scratch_b", 1): 0.5}
    found = [finding("scratch_a", "scratch_b", 1, 0.1, real=True)]
    assert guidance(config("scratch_a", "scratch_b", labels="1"), means, found, []) == [
        "At 1 label per class: take scratch_a."
    ]


def test_one_seed_and_no_test_say_nothing() -> None:
    one = [replace(found, seeds=1) for found in FINDINGS]
    assert guidance(config("a", "b", "scratch"), MEANS, one, []) == []
    assert guidance(config("a", "b", "scratch"), MEANS, [], []) == []
