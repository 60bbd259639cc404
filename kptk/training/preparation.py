"""Compares ways to prepare a table: every scaling with every encoding, by two models, with and without planted outliers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, NUMBER
from kptk.data import Source, Subset
from kptk.errors import InputError, UsageError

Array = NDArray[Any]
SCALINGS = ("none", "minmax", "maxabs", "standard", "robust", "quantile", "uniform")
ENCODINGS = ("onehot", "ordinal", "binary", "hashed")
MODELS = ("linear", "mlp")
TEST_SHARE = 0.3
SPOILT_ROWS = 0.01
SPOILT_BY = 1000.0
"""A planted outlier lies so many standard deviations away from the mean, in every number of this share of the training rows."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What one way of preparing the table came to.

    Args:
        scaling: of numbers.
        encoding: of categories.
        features: how many there are.
        seconds: of learning and applying the preparation, mean over the seeds.
        scores: by model, one a seed: accuracy, or R2 of a number.
        spoilt: the same after training rows with planted outliers.
    """

    scaling: str
    encoding: str
    features: int = 0
    seconds: list[float] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=lambda: {model: [] for model in MODELS})
    spoilt: dict[str, list[float]] = field(default_factory=lambda: {model: [] for model in MODELS})

    @property
    def name(self) -> str:
        """Both words."""
        return f"{self.scaling} + {self.encoding}"

    def interval(self, model: str) -> tuple[float, float]:
        """Mean score and half of its 95 % interval over the seeds (Student's t).

        Args:
            model: one of `MODELS`.
        """
        return mean_and_half(self.scores[model])

    def drop(self, model: str) -> float:
        """How much the mean score loses by planted outliers.

        Args:
            model: one of `MODELS`.
        """
        return float(np.mean(self.scores[model]) - np.mean(self.spoilt[model]))

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        found: dict[str, Any] = {"scaling": self.scaling, "encoding": self.encoding, "features": self.features}
        found["seconds"] = round(float(np.mean(self.seconds)), 4)
        for model in MODELS:
            mean, half = self.interval(model)
            found[model] = {"score": mean, "half_interval": half, "drop_by_outliers": self.drop(model)}
            found[model]["scores"] = self.scores[model]
        return found


def mean_and_half(scores: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval.

    Args:
        scores: one a seed.
    """
    from scipy import stats

    values = np.asarray(scores, dtype=np.float64)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * error)


def compare(
    source: Source,
    make: Callable[..., Any],
    *,
    seeds: int = 3,
    limit: int = 5000,
    scalings: Iterable[str] = SCALINGS,
    encodings: Iterable[str] = ENCODINGS,
    advance: Callable[[int, str], None] = lambda done, note: None,
) -> list[Result]:
    """Prepare a table in every way and judge each by a linear model and a small perceptron.

    Each seed draws rows to learn from and to test on; everything, also the preparation, is learned of the former alone.

    Args:
        source: the table, with labels or numbers to predict.
        make: builds a preprocessor of tables from ``scaling``, ``categories``, ``views`` and ``seed``.
        seeds: draws, at least 2 for intervals.
        limit: rows used at most; 0 for all.
        scalings: those to compare; one is enough where the table has no numbers.
        encodings: those to compare; one is enough where it has no categories.
        advance: told what is done.

    Returns:
        One result a way.

    Raises:
        InputError: if there is nothing to predict, or too few rows.
    """
    rows, y, classes = _targets(source, limit)
    kinds = {column.kind for column in source.columns}
    numbers = [place for place, column in enumerate(source.columns) if column.kind == NUMBER]
    ways = [
        Result(scaling=scaling, encoding=encoding)
        for encoding in (encodings if CATEGORY in kinds else ("onehot",))
        for scaling in (scalings if numbers else ("none",))
    ]
    for seed in range(seeds):
        train, test = _split(rows, y, classes, seed)
        learn, held = Subset(source, rows[train], "to learn from"), source.read(rows[test])
        spoilt = _Spoilt(learn, numbers, seed)
        for place, way in enumerate(ways):
            started = time.perf_counter()
            layer, x = _fit(make, way, learn, seed)
            x_test = _features(layer, source, held)
            way.seconds.append(time.perf_counter() - started)
            way.features = x.shape[1]
            other, x_spoilt = _fit(make, way, spoilt, seed) if numbers else (layer, x)
            for model in MODELS:
                way.scores[model].append(_score(model, x, y[train], x_test, y[test], classes, seed))
                if numbers:
                    x_clean = _features(other, source, held)
                    way.spoilt[model].append(_score(model, x_spoilt, y[train], x_clean, y[test], classes, seed))
                else:
                    way.spoilt[model].append(way.scores[model][-1])
            advance(seed * len(ways) + place + 1, way.name)
    return ways


def count_of_ways(source: Source) -> int:
    """How many ways `compare` would try.

    Args:
        source: the table.
    """
    kinds = {column.kind for column in source.columns}
    return (len(SCALINGS) if NUMBER in kinds else 1) * (len(ENCODINGS) if CATEGORY in kinds else 1)


def _targets(source: Source, limit: int) -> tuple[NDArray[np.int64], Array, bool]:
    if source.inputs != "table" or not source.columns:
        raise UsageError(f"{source.describe()}: this compares preparations of tables.")
    classes = source.labels is not None
    if source.labels is not None:
        rows, y = np.flatnonzero(source.labels >= 0), np.asarray(source.labels)
    elif source.targets is not None:
        y = np.asarray(source.targets, dtype=np.float64)
        rows = np.flatnonzero(np.isfinite(y))
    else:
        raise InputError(f"{source.describe()}: there is nothing to predict. Name the label column: --label COLUMN")
    if limit and limit < len(rows):
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:limit])
    if classes:
        counts = np.bincount(y[rows])
        rare = np.flatnonzero((counts > 0) & (counts < 4))
        if len(rare):
            raise InputError(
                f"{source.describe()}: class '{source.class_names[int(rare[0])]}' has {counts[rare[0]]} rows among the "
                f"{len(rows):,} that are used; 4 are needed to learn from and to test on."
            )
    elif len(rows) < 20:
        raise InputError(f"{source.describe()}: 20 rows are needed. There are {len(rows)}.")
    return rows, y[rows], classes


def _split(rows: NDArray[np.int64], y: Array, classes: bool, seed: int) -> tuple[Array, Array]:
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(len(rows)), test_size=TEST_SHARE, random_state=seed, stratify=y if classes else None
    )
    return np.sort(train), np.sort(test)


def _fit(make: Callable[..., Any], way: Result, source: Source, seed: int) -> tuple[Any, Array]:
    layer = make(views=1, seed=seed, scaling=way.scaling, categories=way.encoding)
    layer.fit(source)
    prepared = layer.prepared(source)
    return layer, keras.ops.convert_to_numpy(layer.plain(prepared.read(np.arange(len(prepared)))))


def _features(layer: Any, source: Source, cells: Array) -> Array:
    return keras.ops.convert_to_numpy(layer.plain(layer.prepared(_Cells(source, cells)).read(np.arange(len(cells)))))


class _Cells(Source):
    """Cells in memory, with the columns of a table."""

    def __init__(self, source: Source, cells: Array) -> None:
        self.inputs, self.row_shape, self.columns = source.inputs, source.row_shape, source.columns
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells)

    def read(self, rows: NDArray[np.int64]) -> Array:
        return self._cells[rows]

    def fingerprint(self) -> str:
        return ""

    def describe(self) -> str:
        return f"{len(self):,} rows"


class _Spoilt(_Cells):
    """Training rows, some with numbers that are far out."""

    def __init__(self, source: Source, numbers: Sequence[int], seed: int) -> None:
        cells = source.read(np.arange(len(source)))
        generator = np.random.default_rng([seed, 31])
        chosen = generator.choice(len(cells), max(round(SPOILT_ROWS * len(cells)), 1), replace=False)
        for place in numbers:
            values = cells[:, place].astype(np.float64)
            spread = np.nanstd(values) or 1.0
            signs = generator.choice([-1.0, 1.0], len(chosen))
            cells[chosen, place] = (np.nanmean(values) + SPOILT_BY * spread * signs).astype(object)
        super().__init__(source, cells)


def _score(model: str, x: Array, y: Array, x_test: Array, y_test: Array, classes: bool, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    network = {"hidden_layer_sizes": (64,), "max_iter": 30, "random_state": seed, "batch_size": min(128, len(x))}
    makers: dict[tuple[str, bool], Callable[[], Any]] = {
        ("linear", True): lambda: LogisticRegression(max_iter=300),
        ("linear", False): Ridge,
        ("mlp", True): lambda: MLPClassifier(**network),
        ("mlp", False): lambda: MLPRegressor(**network),
    }
    made = makers[model, classes]()
    mean, spread = (0.0, 1.0) if classes else (float(y.mean()), float(y.std()) or 1.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # that 30 epochs do not converge is part of the comparison
        try:
            made.fit(x, y if classes else (y - mean) / spread)
            return float(made.score(x_test, y_test if classes else (y_test - mean) / spread))
        except ValueError:  # unscaled numbers can end in NaN weights: then the model says nothing
            return float(np.bincount(y_test).max() / len(y_test)) if classes else 0.0
