"""A first phase for strategies that then change little of the backbone: the head alone, on cached features."""

from __future__ import annotations

from typing import Any

from kptk.training.phases import Phase

HEAD_RATE = 10.0
"""Factor on the learning rate of the head alone, as in LP-FT."""


def head_first(head: tuple[Any, ...], share: float) -> tuple[Phase, ...]:
    """The phase in which only the head trains, or nothing.

    A head that starts at random pulls at the few weights that may change for as long as it is wrong; a fitted one does not.

    Args:
        head: the head's weights.
        share: fraction of the epochs, 0 for no such phase.

    References:
        Kumar et al. 2022, https://arxiv.org/abs/2202.10054
    """
    return (Phase(name="head", weights=head, share=share, rate=HEAD_RATE, cached=True),) if share else ()
