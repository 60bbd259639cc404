"""How an encoder is judged: a file a protocol, each with one function from `Frozen` features to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kptk.training.protocols import alignment, corruptions, few_label, knn, linear, lp_ft, pgd, rank, retrieval
from kptk.training.protocols.frozen import Frozen as Frozen
from kptk.training.protocols.frozen import Options as Options
from kptk.training.protocols.score import Score as Score

MEASURES: dict[str, Callable[[Frozen, Options], Iterator[Score]]] = {
    "knn": knn.measure,
    "linear": linear.measure,
    "few-label": few_label.measure,
    "retrieval": retrieval.measure,
    "rank": rank.measure,
    "alignment": alignment.measure,
    "lp-ft": lp_ft.measure,
    "corruptions": corruptions.measure,
    "pgd": pgd.measure,
}
"""Each protocol by its name, in the order in which they are made and shown."""
