"""Views of a few rows: drawn as a training step draws them, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training.assemble import build_preprocessor

if TYPE_CHECKING:
    from kptk.config import RunConfig

Batch = NDArray[Any]

CONSTANT = 0.02
"""A view whose values have a smaller standard deviation, on the 0..1 scale, shows next to nothing."""
IDENTICAL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much the views of an example differ.

    Args:
        rows: examples compared.
        what: which pictures were compared: ``"two views"`` of a step, or ``"two draws"`` of a single view.
        difference: mean absolute difference between two views of an example; None if nothing can be compared.
        between: the same between views of different examples, for comparison.
        identical: examples whose two views are the same.
        constant: share of all views that are nearly one value.
        blank: share of the raw rows that are nearly one value themselves.
    """

    rows: int
    what: str
    difference: float | None
    between: float | None
    identical: int
    constant: float
    blank: float

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the views, each in a sentence."""
        said = []
        if 2 * self.identical > self.rows:
            said.append(
                f"The {self.what} of an example are identical for {self.identical} of {self.rows} examples: they are not "
                "augmented, so there is nothing to learn from their agreement. Strengthen the preprocessor's options."
            )
        if self.constant > self.blank + 0.05:
            originals = f" ({100 * self.blank:.0f} % of the originals are)" if self.blank else ""
            said.append(
                f"{100 * self.constant:.0f} % of the views are nearly one value and show nothing{originals}. "
                "Weaken the preprocessor's options, for example with larger crops."
            )
        elif self.blank > 0.05:
            said.append(f"{100 * self.blank:.0f} % of the originals are nearly one value and show nothing.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def draw_views(config: RunConfig, batch: Batch, draws: int = 1) -> list[tuple[Batch, ...]]:
    """Make the views of a batch by the preprocessor of a configuration, built anew so that no model changes.

    Args:
        config: the configuration.
        batch: raw rows, shape ``(rows, ...)``.
        draws: how often.

    Returns:
        The views of each draw; empty without a preprocessor.
    """
    layer = build_preprocessor(config.preprocessor, config.views, config.train.values["seed"])
    if layer is None:
        return []
    layer.check(batch)
    return [tuple(keras.ops.convert_to_numpy(view) for view in layer(batch)) for _ in range(draws)]


def compare(drawn: list[tuple[Batch, ...]], batch: Batch) -> Comparison:
    """Compare the first two views of each example.

    Args:
        drawn: what `draw_views` returned, not empty.
        batch: the raw rows that they were made of.
    """
    first = drawn[0][0]
    what = "two views" if len(drawn[0]) > 1 else "two draws"
    second = drawn[0][1] if len(drawn[0]) > 1 else drawn[1][0] if len(drawn) > 1 else None
    views = [view for views in drawn for view in views]
    difference = between = None
    identical = 0
    if second is not None and second.shape == first.shape:
        each = np.abs(first - second).reshape(len(first), -1)
        difference = float(each.mean())
        identical = int((each.max(axis=1) < IDENTICAL).sum())
        if len(first) > 1:
            between = float(np.abs(first - np.roll(second, 1, axis=0)).mean())
    return Comparison(
        rows=len(first),
        what=what,
        difference=difference,
        between=between,
        identical=identical,
        constant=_flat(views),
        blank=_flat([batch / 255.0 if np.issubdtype(batch.dtype, np.integer) else batch]),
    )


def _flat(batches: list[Batch]) -> float:
    """Share of rows that are nearly one value."""
    spreads = [batch.reshape(len(batch), -1).std(axis=1) for batch in batches]
    return float((np.concatenate(spreads) < CONSTANT).mean())
