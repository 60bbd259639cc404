"""`Score`: one number with everything that it hangs on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number with its protocol and its interval.

    Args:
        protocol: what was done, one of `kptk.settings.PROTOCOLS`.
        encoder: whose features: ``"run"``, ``"random"`` or ``"raw"``.
        metric: what `value` is.
        value: the figure.
        low: lower end of its 95 % interval.
        high: upper end.
        train: labelled rows that were learned from or searched.
        test: rows that it was tested on.
        seed: of the split, the draws and the random encoder.
        k: neighbours, for kNN.
        epsilon: largest change of a pixel by the attack, for PGD.
        labels_per_class: labelled rows of each class, for the few-label probe.
        draws: how often those rows were drawn.
        corruption: what was done to the images.
        severity: how strongly, 1 to 5.
        words: the protocol in words.
    """

    protocol: str
    encoder: str
    metric: str = "accuracy"
    value: float
    low: float
    high: float
    train: int
    test: int
    seed: int
    k: int | None = None
    epsilon: float | None = None
    labels_per_class: int | None = None
    draws: int | None = None
    corruption: str | None = None
    severity: int | None = None
    words: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return asdict(self)
