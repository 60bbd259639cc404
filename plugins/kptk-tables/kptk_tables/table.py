"""The preprocessor of tables: scaling, encoding, imputation, date parts, and corrupted views."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, Column
from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_tables import encoding, scaling
from kptk_tables.arranged import Arranged
from kptk_tables.corruption import choose_cells, lend
from kptk_tables.dates import PERIODS, cyclic
from kptk_tables.imputation import impute, was_missing
from kptk_tables.layout import Group, Layout, places
from kptk_tables.learning import learn
from kptk_tables.planning import Choices, plan

LOOK = 4096
"""Training rows of which the mean and variance of the features are taken."""


@keras.saving.register_keras_serializable(package="kptk_tables")
class Table(Preprocessor):
    """Learns of the training rows how the cells of a table become features, and makes corrupted views of rows.

    On the host, cells become numbers: codes of names, parts of dates, NaN for what is missing. In the graph, and so inside
    every saved model, numbers become features: filled in, scaled, encoded. Columns of text are left out.

    A corrupted view has a fixed share of its columns replaced by those of other rows of the batch, each column from a row of
    its own (SCARF).

    Args:
        views: how many views of each row.
        scaling: of numbers: ``"standard"`` (mean 0, variance 1), ``"minmax"`` (to `low`..`high`), ``"robust"`` (median and
            quartiles), ``"maxabs"``, ``"quantile"`` (to a normal distribution), ``"uniform"`` (quantile, to 0..1), ``"none"``.
        low: lower end of the min-max range.
        high: its upper end.
        categories: encoding of names: ``"onehot"``, ``"ordinal"`` (the code, scaled like a number), ``"binary"`` (the digits
            of the code) or ``"hashed"`` (one-hot of a hash). The backbones learn embeddings of one-hot codes.
        max_categories: names of a column that get a code of their own, the commonest ones.
        buckets: how many buckets names are hashed into.
        unknown: what becomes of names without a code: ``"zeros"`` (nothing), ``"other"`` (a code for all) or ``"error"``.
        missing: what stands for a missing number: ``"median"``, ``"mean"``, ``"most_frequent"``, ``"zero"``, or ``"error"``.
        missing_category: a missing name is a category of its own (``"own"``) or nothing (``"zeros"``).
        indicators: whether a number that is missing in some training row has a feature that says so.
        corruption: share of the columns that are replaced in a view, 0 to 1.
        anchor: the first view is ``"corrupted"`` like the others, or the ``"clean"`` row.
        seed: of the corruption; None draws one.
        state: what `fit` learned, as `get_config` returns it.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from kptk.data import ArraySource
        >>> rows = np.array([[39.0, "red"], [50.0, "blue"], [None, "red"]], dtype=object)
        >>> table = Table(views=1, missing="mean", indicators=False)
        >>> table.fit(ArraySource(rows, inputs="table"))
        >>> keras.ops.convert_to_numpy(table.plain(table.prepare(rows))).round(1).tolist()
        [[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    References:
        https://arxiv.org/abs/2106.15147 (SCARF), algorithm 1
    """

    fits = True
    kind = "table"

    def __init__(
        self,
        *,
        views: int = 2,
        scaling: str = "standard",
        low: float = 0.0,
        high: float = 1.0,
        categories: str = "onehot",
        max_categories: int = 100,
        buckets: int = 32,
        unknown: str = "zeros",
        missing: str = "median",
        missing_category: str = "own",
        indicators: bool = True,
        corruption: float = 0.6,
        anchor: str = "corrupted",
        seed: int | None = None,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # numbers keep their precision under a mixed policy
        super().__init__(views=views, seed=seed, **kwargs)
        if high <= low:
            raise UsageError(f"`high` must be above `low`. Received: {low:g} and {high:g}.")
        self.choices = Choices(
            scaling=scaling,
            low=low,
            high=high,
            categories=categories,
            max_categories=max_categories,
            buckets=buckets,
            unknown=unknown,
            missing=missing,
            missing_category=missing_category,
            indicators=indicators,
        )
        self.corruption = corruption
        self.anchor = anchor
        self.layout = None if state is None else Layout.from_dict(state)

    # Learned from the training rows ----------------------------------------------------------------------------------

    @property
    def fitted(self) -> bool:
        """Whether `fit` has seen the training rows."""
        return self.layout is not None

    @property
    def known(self) -> Layout:
        """What was learned.

        Raises:
            UsageError: before `fit`.
        """
        if self.layout is None:
            raise UsageError("the table preprocessor has not seen any rows yet. Call: fit(source)")
        return self.layout

    def fit(self, source: Source) -> None:
        """Learn ranges, categories and fillers of the training rows."""
        columns = columns_of(source)
        self.layout = plan(columns, learn(source, columns, self.seed or 0), self.choices)
        rows = np.random.default_rng(0).choice(len(source), min(LOOK, len(source)), replace=False)
        features = self.plain(self.prepare(Arranged(source, self._places(source)).read(np.sort(rows))))
        array = keras.ops.convert_to_numpy(features).astype(np.float64)
        self.layout.mean, self.layout.variance = array.mean(axis=0).tolist(), array.var(axis=0).tolist()

    def _places(self, source: Source) -> list[int]:
        names = [column.name for column in columns_of(source)]
        if (label := getattr(source, "label", "")) in {column.name for column in self.known.columns}:
            raise InputError(
                f"{source.describe()}: the model was trained with '{label}' as an input, since it was not named as the label "
                f"then, so it cannot be judged by it. Train again with -o data.label={label}"
            )
        return places(names, [column.name for column in self.known.columns], source.describe())

    @property
    def groups(self) -> list[Group]:
        """The features, grouped by what they are features of."""
        return self.known.groups

    def backbone_options(self) -> dict[str, str]:
        """The sizes of the groups, as the backbones' option `groups` takes them."""
        return {"groups": ",".join(str(group.size) for group in self.groups)}

    # On the host -----------------------------------------------------------------------------------------------------

    def prepare(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Turn cells into numbers; the columns are those that were learned, in that order."""
        if rows.shape[-1] != len(self.known.columns):
            raise UsageError(
                f"the rows must have {len(self.known.columns)} columns ({', '.join(c.name for c in self.known.columns)}). "
                f"Received: {rows.shape[-1]}."
            )
        return self.known.prepare(rows)

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """The same data with prepared rows; columns are found by their names, and others are left out."""
        return super().prepared(Arranged(source, self._places(source)), training=training)

    def prepared_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One number a cell, several for a date."""
        del row_shape
        return (len(self.known.slots),)

    def view_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The number of features."""
        del row_shape
        return (len(self.known.owners),)

    def raw_features(self, train: Source, source: Source) -> NDArray[Any]:
        """The features themselves: what the rows say without a network."""
        del train
        parts = []
        for start in range(0, len(source), LOOK):
            rows = source.read(np.arange(start, min(start + LOOK, len(source))))
            parts.append(keras.ops.convert_to_numpy(self.plain(rows)))
        return np.concatenate(parts)

    # In the graph ----------------------------------------------------------------------------------------------------

    def plain(self, inputs: Tensor) -> Tensor:
        """Fill in, scale and encode; shape ``(batch, features)``."""
        known = self.known
        inputs = ops.cast(inputs, "float32")
        blocks = []
        if known.scaled:
            numbers = _columns(inputs, known.scaled)
            blocks.append(self._scale(impute(numbers, _constant(known.fillers))))
            if known.marked:
                blocks.append(was_missing(_columns(numbers, known.marked)))
        if known.flags:
            blocks.append(impute(_columns(inputs, known.flags), _constant(known.flag_fillers)))
        blocks += [cyclic(inputs[:, place], PERIODS[part]) for place, part in known.cycles]
        for place, count in known.codes:
            codes = inputs[:, place]
            if self.choices.categories == "binary":
                blocks.append(encoding.binary(codes, encoding.digits_of(count)))
            else:
                blocks.append(encoding.one_hot(codes, count))
        return ops.concatenate(blocks, axis=-1)

    def _scale(self, numbers: Tensor) -> Tensor:
        if self.known.knots:
            points = _constant(self.known.knots)
            return scaling.quantile(numbers, points, normal=self.choices.scaling == "quantile")
        return scaling.scale(numbers, _constant(self.known.centre), _constant(self.known.scale))

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the views: corrupted rows, the first one clean if the anchor is."""
        inputs = ops.cast(inputs, "float32")
        views = [self.plain(inputs)] if self.anchor == "clean" else []
        while len(views) < self.views:
            count = ops.shape(inputs)[0]
            chosen = choose_cells(count, len(self.known.columns), self.corruption, self.seed_generator)
            views.append(self.plain(lend(inputs, chosen, self.known.slots, self.seed_generator)))
        return tuple(views)

    def inverse(self, features: NDArray[Any]) -> NDArray[np.object_]:
        """From features back to cells, as far as they say: what was missing comes back as what stood for it.

        Args:
            features: shape ``(rows, features)``.

        Returns:
            Cells, shape ``(rows, columns)``; None for dates, of which only parts are kept.
        """
        from kptk_tables.inversion import invert

        return invert(self.known, self.choices, np.asarray(features, np.float64))

    def get_config(self) -> dict[str, Any]:
        """Return every argument, and what was learned."""
        options = {name: getattr(self.choices, name) for name in Choices.__dataclass_fields__}
        state = None if self.layout is None else self.layout.to_dict()
        return {
            **super().get_config(),
            **options,
            "corruption": self.corruption,
            "anchor": self.anchor,
            "state": state,
        }


def columns_of(source: Source) -> tuple[Column, ...]:
    """What the columns of some rows are: as the source says, or as the first known cell of each tells.

    Args:
        source: rows of a table.
    """
    said: tuple[Column, ...] = tuple(getattr(source, "columns", ()))
    if said:
        return said
    rows = source.read(np.arange(min(len(source), LOOK)))
    return tuple(Column(f"column_{place}", _kind(rows[:, place])) for place in range(rows.shape[1]))


def _kind(cells: NDArray[Any]) -> str:
    known = [cell for cell in cells.tolist() if cell is not None and cell == cell]  # noqa: PLR0124  # NaN is not itself
    first = known[0] if known else 0.0
    if isinstance(first, str):
        return CATEGORY
    if hasattr(first, "isoformat"):
        return DATE
    return FLAG if isinstance(first, bool) else NUMBER


def _constant(values: Any) -> Tensor:
    return ops.convert_to_tensor(np.asarray(values, dtype=np.float32))


def _columns(inputs: Tensor, places: list[int]) -> Tensor:
    return ops.take(inputs, ops.convert_to_tensor(places, dtype="int32"), axis=1)
