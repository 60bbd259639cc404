"""The doctor finds what is planted in a run's figures, and nothing in a healthy run."""

from __future__ import annotations

import pytest

from kptk.training.doctor import diagnose

HEALTHY = {
    "loss": [5.4, 5.0, 4.6, 4.3],
    "feature_spread": [0.5, 0.55, 0.6, 0.6],
    "effective_rank": [30.0, 34.0, 38.0, 40.0],
    "gradient_norm": [2.0, 1.8, 1.9, 1.5],
    "knn_accuracy": [0.7, 0.8, 0.85, 0.86],
}


def records(**changes) -> list[dict]:
    columns = HEALTHY | changes
    return [{"epoch": n + 1, **{key: values[n] for key, values in columns.items()}} for n in range(4)]


def names(**changes) -> list[str]:
    return [finding.name for finding in diagnose(records(**changes), chance=6.2, most_rank=128)]


def test_nothing_is_wrong_with_a_healthy_run() -> None:
    assert names() == []
    assert diagnose([], chance=None, most_rank=10) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"loss": [5.4, 5.0, None, None]}, "Diverged"),
        ({"feature_spread": [0.5, 0.2, 0.01, 0.01]}, "Collapsed"),
        ({"effective_rank": [30.0, 9.0, 1.2, 1.1]}, "Collapsed"),
        ({"loss": [6.2, 6.19, 6.2, 6.2]}, "At chance"),
        ({"loss": [5.4, 4.0, 4.5, 4.9]}, "Loss rises"),
        ({"gradient_norm": [2.0, 1e-3, 1e-6, 1e-9]}, "Gradient vanishes"),
        ({"gradient_norm": [2.0, 2.0, 3.0, 400.0]}, "Gradient explodes"),
        ({"effective_rank": [40.0, 30.0, 12.0, 6.0]}, "Narrowing"),
        ({"knn_accuracy": [0.7, 0.86, 0.84, 0.8]}, "Worse for the labels"),
    ],
)
def test_what_is_planted_is_found(changes, name) -> None:
    assert names(**changes) == [name]


def test_a_finding_says_what_why_and_what_to_do() -> None:
    (found,) = diagnose(records(feature_spread=[0.5, 0.2, 0.01, 0.01]), chance=None, most_rank=128)
    assert "from epoch 3" in found.seen
    assert found.sentence.startswith("Collapsed: features are nearly the same for every row")
    assert "Likely cause: " in found.sentence and "Try: " in found.sentence
    assert set(found.to_dict()) == {"name", "seen", "cause", "remedy"}


def test_a_gradient_that_grew_before_a_nan_is_blamed() -> None:
    (found,) = diagnose(
        records(loss=[5.4, 5.0, 4.6, None], gradient_norm=[2.0, 2.0, 90.0, None]), chance=None, most_rank=128
    )
    assert "had grown to 90" in found.seen
    assert found.cause == "steps that are too large"


def test_a_loss_that_measures_nothing_is_left_out() -> None:
    rising = records(loss=[5.4, 4.0, 6.5, 6.9])
    assert [f.name for f in diagnose(rising, chance=6.2, most_rank=128, loss_measures_learning=False)] == []
