"""The doctor: reads the figures of a run's epochs and says what they point to, with the likely cause and a remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kptk.training.health import COLLAPSED_RANK, COLLAPSED_SPREAD, LEARNED_SHARE

AT_CHANCE = 0.01
"""A loss within this share of its chance level has learned nothing that the objective measures."""
VANISHING, EXPLODING = 1e-6, 20.0
"""Gradient norm below which nothing moves; times its own median from which it is called exploding."""
NARROW, NARROWED = 0.1, 0.5
"""A rank below this share of its most, fallen to this share of its first value, is a partial collapse."""
WORSE_ACCURACY, WORSE_LOSS = 0.03, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the figures point to.

    Args:
        name: what it is, in two or three words.
        seen: the figures.
        cause: the likely cause.
        remedy: what to try.
    """

    name: str
    seen: str
    cause: str
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it for people."""
        return f"{self.name}: {self.seen}. Likely cause: {self.cause}. Try: {self.remedy}."

    def to_dict(self) -> dict[str, str]:
        """As a dictionary for JSON."""
        return asdict(self)


def diagnose(
    records: Sequence[dict[str, Any]],
    *,
    chance: float | None,
    most_rank: int,
    loss_measures_learning: bool = True,
    collapsed_spread: float = COLLAPSED_SPREAD,
) -> list[Finding]:
    """Read the epochs of a run.

    Args:
        records: what was logged at the end of each epoch; None stands for what is not a number.
        chance: loss of a model that has learned nothing, if the objective has such a number.
        most_rank: largest possible effective rank: the smaller of rows and length of the features.
        loss_measures_learning: whether the loss says what was learned.
        collapsed_spread: below this spread features count as collapsed.

    Returns:
        What was found, gravest first; empty for a run that looks well.
    """
    checks = [_nan(records), _collapse(records, collapsed_spread)]
    lost = checks[0] is not None
    if loss_measures_learning and not lost:
        checks += [_chance(records, chance), _rising(records)]
    checks += [None if lost else _gradient(records), _narrow(records, most_rank), _accuracy(records)]
    return [finding for finding in checks if finding is not None]


def _known(records: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    pairs = [(r["epoch"], float(r[key])) for r in records if r.get(key) is not None and math.isfinite(r[key])]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def _nan(records: Sequence[dict[str, Any]]) -> Finding | None:
    keys = {"loss": "the loss is not a number", "feature_spread": "the features are not finite"}
    lost = [(r["epoch"], said) for r in records for key, said in keys.items() if key in r and r[key] is None]
    if not lost:
        return None
    first, said = lost[0]
    _, norms = _known(records, "gradient_norm")
    grew = len(norms) > 1 and norms[-1] > EXPLODING * float(np.median(norms[:-1]))
    return Finding(
        name="Diverged",
        seen=f"{said} from epoch {first}" + (f"; the gradient norm had grown to {norms[-1]:.3g}" if grew else ""),
        cause="steps that are too large" if grew else "steps that are too large, or rows that are no numbers",
        remedy="kptk replay RUN says which; a smaller learning rate, or -o train.clip_norm=1",
    )


def _collapse(records: Sequence[dict[str, Any]], least: float) -> Finding | None:
    epochs, spreads = _known(records, "feature_spread")
    _, ranks = _known(records, "effective_rank")
    if not spreads or not ranks or (spreads[-1] >= least and ranks[-1] >= COLLAPSED_RANK):
        return None
    since = next(e for e, s, r in zip(epochs, spreads, ranks, strict=True) if s < least or r < COLLAPSED_RANK)
    return Finding(
        name="Collapsed",
        seen=f"features are nearly the same for every row from epoch {since} (spread {spreads[-1]:.3f} of 1, effective rank "
        f"{ranks[-1]:.1f})",
        cause="the objective can be solved by one answer for all, or the weights were shrunk away",
        remedy="a smaller learning rate, less weight decay, a larger batch, or an objective with negatives or a variance term",
    )


def _chance(records: Sequence[dict[str, Any]], chance: float | None) -> Finding | None:
    _, losses = _known(records, "loss")
    if chance is None or not losses or losses[-1] < (1 - AT_CHANCE) * chance:
        return None
    return Finding(
        name="At chance",
        seen=f"the loss is {losses[-1]:.3f} and {chance:.3f} is what a model has that learned nothing",
        cause="views that share too little, a learning rate that is too small, or too few steps",
        remedy="kptk views to look at the views; weaker views, a larger learning rate, more epochs",
    )


def _rising(records: Sequence[dict[str, Any]]) -> Finding | None:
    epochs, losses = _known(records, "loss")
    if len(losses) < 3:
        return None
    best = int(np.argmin(losses))
    fallen, risen = losses[0] - losses[best], losses[-1] - losses[best]
    learned = fallen > LEARNED_SHARE * abs(losses[0])  # a loss that hovers goes up and down and has not risen
    if not learned or risen <= WORSE_LOSS * fallen:
        return None
    return Finding(
        name="Loss rises",
        seen=f"the loss was {losses[best]:.3f} at epoch {epochs[best]} and is {losses[-1]:.3f} at the end",
        cause="a learning rate that is too large for this late in training",
        remedy="a smaller learning rate, or -o train.schedule=cosine",
    )


def _gradient(records: Sequence[dict[str, Any]]) -> Finding | None:
    epochs, norms = _known(records, "gradient_norm")
    if not norms:
        return None
    if norms[-1] < VANISHING:
        return Finding(
            name="Gradient vanishes",
            seen=f"its norm is {norms[-1]:.1e} at epoch {epochs[-1]}",
            cause="features that do not depend on the weights any more, such as dead units, or a loss at its end",
            remedy="a smaller learning rate from the start, batch normalisation, or another objective",
        )
    if len(norms) > 2 and norms[-1] > EXPLODING * float(np.median(norms[:-1])):
        return Finding(
            name="Gradient explodes",
            seen=f"its norm is {norms[-1]:.3g} at epoch {epochs[-1]}, {float(np.median(norms[:-1])):.3g} before",
            cause="steps that are too large",
            remedy="a smaller learning rate, or -o train.clip_norm=1",
        )
    return None


def _narrow(records: Sequence[dict[str, Any]], most: int) -> Finding | None:
    epochs, ranks = _known(records, "effective_rank")
    if len(ranks) < 2 or ranks[-1] < COLLAPSED_RANK or ranks[-1] >= NARROW * most:
        return None
    if ranks[-1] > NARROWED * ranks[0]:
        return None
    return Finding(
        name="Narrowing",
        seen=f"the effective rank fell from {ranks[0]:.1f} at epoch {epochs[0]} to {ranks[-1]:.1f} of at most {most:,}",
        cause="features that use fewer and fewer directions (partial collapse)",
        remedy="a smaller learning rate, a wider projection head, or an objective that decorrelates (vicreg, barlow_twins)",
    )


def _accuracy(records: Sequence[dict[str, Any]]) -> Finding | None:
    epochs, values = _known(records, "knn_accuracy")
    if len(values) < 2:
        return None
    best = int(np.argmax(values))
    if values[best] - values[-1] <= WORSE_ACCURACY:
        return None
    return Finding(
        name="Worse for the labels",
        seen=f"kNN accuracy was {100 * values[best]:.1f} % at epoch {epochs[best]} and is {100 * values[-1]:.1f} %",
        cause="the objective goes on improving on something that these labels do not need",
        remedy=f"fewer epochs (--epochs {epochs[best]}), or views that keep what the labels are about",
    )
