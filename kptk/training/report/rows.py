"""The rows that a report looks at: their features, seen in two dimensions and by their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source, Subset
from kptk.training.features import Encoder, extract
from kptk.training.prepared import raw_part

if TYPE_CHECKING:
    from kptk.training.run import Run

EXCERPT = 120
MOST_ROWS = 1000
FEWEST_ROWS = 200
NUMBERS = 20_000_000
"""Inputs larger than this in all are looked at in smaller number, so that a report takes seconds."""

Rows = NDArray[np.int64]
Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows with their features.

    Args:
        source: the rows, already drawn.
        rows: their numbers in the data that they come from.
        features: shape ``(rows, dim)``.
        separate: whether they are separate labelled data and not what was trained on.
        protocol: which rows these are, in words.
        texts: the beginning of each row, where rows are texts; empty otherwise.
    """

    source: Source
    rows: Rows
    features: Features
    separate: bool
    protocol: str
    texts: tuple[str, ...] = ()

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class of each row, if known."""
        return self.source.labels

    @property
    def finite(self) -> bool:
        """Whether all features are numbers."""
        return bool(np.isfinite(self.features).all())

    def class_name(self, index: int) -> str:
        """Name of a row's class, empty if not known.

        Args:
            index: which row of the sample.
        """
        return "" if self.labels is None else self.source.class_names[int(self.labels[index])]


def take_sample(run: Run) -> Sample:
    """Draw rows of the separate labelled data, or else of the training data, and compute their features.

    Args:
        run: the finished run.
    """
    source = run.probe_source or run.source
    seed = run.train["seed"]
    affordable = NUMBERS // max(int(np.prod(source.row_shape)), 1)
    count = min(len(source), int(np.clip(affordable, FEWEST_ROWS, MOST_ROWS)))
    rows = np.sort(np.random.default_rng([seed, 13]).choice(len(source), size=count, replace=False))
    part = Subset(source, rows, f"{count:,} drawn with seed {seed}")
    kind = "the separate labelled data" if run.probe_source is not None else "the training data"
    which = (
        f"all {count:,} rows" if count == len(source) else f"{count:,} of {len(source):,} rows, drawn with seed {seed},"
    )
    return Sample(
        source=part,
        rows=rows,
        features=extract(Encoder(run.model.backbone, run.model.views), part, batch_size=min(count, 256)),
        separate=run.probe_source is not None,
        protocol=f"{which} of {kind}",
        texts=excerpts(source, rows),
    )


def excerpts(source: Source, rows: Rows) -> tuple[str, ...]:
    """The beginning of each row, where raw rows are texts; empty otherwise.

    Args:
        source: raw or prepared rows.
        rows: which.
    """
    raw = raw_part(source)
    if source.inputs != "text" or raw.row_shape != () or not len(rows):
        return ()
    read = raw.read(rows)
    if read.dtype.kind not in "OUS":
        return ()
    texts = [" ".join(str(text).split()) for text in read]
    return tuple(text if len(text) <= EXCERPT else f"{text[: EXCERPT - 1]}…" for text in texts)


def project(features: Features) -> tuple[NDArray[np.float64], float] | None:
    """The two directions in which features differ most.

    Args:
        features: shape ``(rows, dim)``.

    Returns:
        Positions ``(rows, 2)`` and the share of the variance that they keep; None if there is nothing to see.
    """
    from sklearn.decomposition import PCA

    total = float(features.astype(np.float64).var(axis=0, ddof=1).sum()) if len(features) > 2 else 0.0
    if min(features.shape) < 2 or total < 1e-12:
        return None
    fitted = PCA(n_components=2, svd_solver="full").fit(features.astype(np.float64))
    return fitted.transform(features.astype(np.float64)), float(fitted.explained_variance_.sum() / total)


TSNE_ROWS = 500
"""Rows of the second map at most: t-SNE takes seconds for these and minutes for many more."""
PERPLEXITY = 30.0


def neighbourhoods(features: Features, seed: int) -> NDArray[np.float64] | None:
    """Places in two dimensions that keep near rows near (t-SNE).

    Args:
        features: shape ``(rows, dim)``.
        seed: of the method.

    Returns:
        Positions ``(rows, 2)``; None if there are too few rows or they are all the same.

    References:
        https://www.jmlr.org/papers/v9/vandermaaten08a.html
    """
    from sklearn.manifold import TSNE

    if len(features) < 10 or len(np.unique(features, axis=0)) < 5:
        return None
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    made = TSNE(n_components=2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    return np.asarray(made.fit_transform(features.astype(np.float64)), dtype=np.float64)


def nearest(features: Features, count: int) -> tuple[Rows, NDArray[np.float64]]:
    """The rows most like each row, itself left out.

    Args:
        features: shape ``(rows, dim)``.
        count: how many; at most one less than there are rows.

    Returns:
        Indices and cosine similarities, each ``(rows, count)``, nearest first.
    """
    exact = features.astype(np.float64)  # very large features of a run that diverged must not overflow
    unit = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    count = min(count, len(features) - 1)
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(cosine, order, axis=1)


def queries(labels: NDArray[np.int64] | None, rows: int, count: int, seed: int) -> list[int]:
    """Choose rows to ask for their neighbours: of as many classes as possible.

    Args:
        labels: class of each row, if known.
        rows: how many rows there are.
        count: how many to choose.
        seed: of the choice.
    """
    order = np.random.default_rng([seed, 17]).permutation(rows)
    if labels is not None:
        turn: dict[Any, int] = {}
        turns = []
        for row in order:
            turns.append(turn.get(labels[row], 0))
            turn[labels[row]] = turns[-1] + 1
        order = order[np.argsort(turns, kind="stable")][:count]
        order = order[np.argsort(labels[order], kind="stable")]
    return [int(row) for row in order[:count]]


def agreement(labels: NDArray[np.int64], neighbours: Rows) -> tuple[float, float]:
    """How often a neighbour has the class of its row, and how often it would by chance.

    Args:
        labels: class of each row.
        neighbours: indices, shape ``(rows, count)``.
    """
    counts = np.bincount(labels).astype(np.float64)
    rows = len(labels)
    chance = float((counts * (counts - 1)).sum() / max(rows * (rows - 1), 1))
    return float((labels[neighbours] == labels[:, None]).mean()), chance
