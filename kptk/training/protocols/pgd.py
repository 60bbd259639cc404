"""PGD: what is left of the linear probe when pixels are changed against it."""

from __future__ import annotations

from collections.abc import Iterator

from kptk.training.protocols import interval
from kptk.training.protocols.frozen import Frozen, Options
from kptk.training.protocols.score import Score
from kptk.training.robustness import STEPS, right_under_attack


def measure(frozen: Frozen, options: Options) -> Iterator[Score]:
    """Accuracy without an attack, and under each largest change of a pixel, on the same rows.

    Args:
        frozen: the encoder's features.
        options: `epsilons` count.
    """
    victim, images, labels = frozen.victim
    for epsilon in (0.0, *options.epsilons):
        right = right_under_attack(victim, images, labels, epsilon, seed=frozen.seed)
        yield frozen.score(
            "pgd",
            float(right.mean()),
            interval.of_mean(right, frozen.seed),
            test=len(labels),
            epsilon=epsilon,
            words=f"linear probe; {STEPS} steps of projected gradient descent from a random start, maximum norm",
        )
