"""Checks of ready comparisons: do their arms exist and fit together, and are their settings known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kptk.comparing import ComparisonRequest, resolve_comparison
from kptk.comparing.config import SOURCE

if TYPE_CHECKING:
    from kptk.testing.checks import Function, Subject


def arms_fit_together(subject: Subject) -> None:
    """Every part that an arm names is offered by an installed plugin, parts fit, options and settings are known."""
    # One that leaves the data to the user is tried on the data of its objective's recipe.
    assert subject.offer is not None
    spec = subject.spec
    recipes = subject.plugins.offers("recipe")
    usual = [
        recipe.spec.dataset for recipe in recipes if recipe.spec.objective == spec.objective and recipe.spec.dataset
    ]
    data = spec.data or next(iter(usual), "")
    assert data, "it names no data set, and no recipe of its objective does"
    other = spec.source or data if any(SOURCE in arm.get("pretrain", ()) for arm in spec.arms.values()) else ""
    config = resolve_comparison(subject.plugins, ComparisonRequest(ready=subject.offer.id, data=data, source=other))
    assert len(config.arms) >= 2, "a comparison needs two arms at least"
    assert config.baseline == spec.baseline, f"the baseline '{spec.baseline}' is none of its arms"


CHECKS: tuple[Function, ...] = (arms_fit_together,)
