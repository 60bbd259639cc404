"""`TableTransformer`: the table preprocessor as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, Column
from kptk.data import ArraySource
from kptk.errors import InputError
from kptk_tables.table import Table, columns_of

OPTIONS = (
    *("scaling", "low", "high", "categories", "max_categories", "buckets", "unknown", "missing", "missing_category"),
    "indicators",
)


class TableTransformer(TransformerMixin, BaseEstimator):
    """Scaling, encoding, imputation and date parts, as `kptk train` prepares a table, for scikit-learn's pipelines.

    Columns of a data frame are what their dtype says: numbers, flags (bool), dates, and names for everything else; those of
    a plain array of objects, what their first known cell is. The numbers are those of the Keras graph, in float32.

    Args:
        scaling: ``"standard"``, ``"minmax"``, ``"robust"``, ``"maxabs"``, ``"quantile"``, ``"uniform"`` or ``"none"``.
        low: lower end of the min-max range.
        high: upper end of the min-max range.
        categories: ``"onehot"``, ``"ordinal"``, ``"binary"`` or ``"hashed"``.
        max_categories: names of a column that have a code, the commonest.
        buckets: of hashed names.
        unknown: names without a code: ``"zeros"``, ``"other"`` or ``"error"``.
        missing: what stands for a missing number: ``"median"``, ``"mean"``, ``"most_frequent"``, ``"zero"`` or ``"error"``.
        missing_category: a missing name is a category of its own (``"own"``) or nothing (``"zeros"``).
        indicators: whether a feature says that a number was missing.
        random_state: seed of the sample of which quantiles are taken where there are more than 100,000 rows.

    Example:
        >>> rows = np.array([[39.0, "red"], [50.0, "blue"]], dtype=object)
        >>> transformer = TableTransformer(scaling="minmax").fit(rows)
        >>> transformer.get_feature_names_out().tolist()
        ['x0', 'x1=blue', 'x1=red']
        >>> transformer.transform(rows).tolist()
        [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        *,
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
        random_state: int = 0,
    ) -> None:
        self.scaling = scaling
        self.low = low
        self.high = high
        self.categories = categories
        self.max_categories = max_categories
        self.buckets = buckets
        self.unknown = unknown
        self.missing = missing
        self.missing_category = missing_category
        self.indicators = indicators
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> TableTransformer:
        """Learn ranges, categories and fillers.

        Args:
            X: a table of shape ``(rows, columns)``, a data frame or an array.
            y: not used; here for pipelines.

        Returns:
            This transformer.

        Raises:
            InputError: if a cell is refused by the policies.
        """
        del y
        kinds = _kinds(X)
        cells = self._cells(X, reset=True)
        names = [str(name) for name in getattr(self, "feature_names_in_", [f"x{n}" for n in range(cells.shape[1])])]
        source = ArraySource(cells, inputs="table", name="X")
        known = kinds or [column.kind for column in columns_of(source)]
        source.columns = tuple(Column(name, kind) for name, kind in zip(names, known, strict=True))
        options = {name: getattr(self, name) for name in OPTIONS}
        layer = Table(views=1, anchor="clean", seed=int(self.random_state), **options)
        layer.fit(source)
        # The layer's own JSON and not the layer, so that a pickle holds no weights of Keras.
        self.config_ = layer.get_config()
        self.columns_ = source.columns
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Features of a table, shape ``(rows, features)``.

        Args:
            X: a table with the columns of `fit`.
        """
        check_is_fitted(self)
        layer = self._layer()
        features = layer.plain(layer.prepare(self._cells(X, reset=False)[:, self._used(layer)]))
        return np.asarray(keras.ops.convert_to_numpy(features))

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """From features back to cells, as far as they say; what was missing comes back as what stood for it.

        Args:
            X: features, shape ``(rows, features)``.

        Returns:
            Cells, shape ``(rows, columns)``: floats if all columns are numbers, else objects.
        """
        check_is_fitted(self)
        layer = self._layer()
        features = np.asarray(X, dtype=np.float64)
        wanted = len(layer.known.owners)
        if features.ndim != 2 or features.shape[1] != wanted:
            raise InputError(
                f"X must have {wanted} features, as transform gives them. Received: shape {features.shape}."
            )
        cells = np.full((len(features), len(self.columns_)), None, dtype=object)
        cells[:, self._used(layer)] = layer.inverse(features)
        numbers = all(column.kind == NUMBER for column in self.columns_)
        return cells.astype(np.float64) if numbers else cells

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the features: the column, with the category or part it stands for.

        Args:
            input_features: names of the columns; those of `fit` if None.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array([name for group in self._layer().groups for name in group.names], dtype=object)

    def _layer(self) -> Table:
        made: Table = Table.from_config(self.config_)
        return made

    def _used(self, layer: Table) -> list[int]:
        """Places of the columns that give features; texts and columns without a known cell do not."""
        used = {column.name for column in layer.known.columns}
        return [place for place, column in enumerate(self.columns_) if column.name in used]

    def _cells(self, X: Any, *, reset: bool) -> NDArray[np.object_]:
        frame = hasattr(X, "iloc") and hasattr(X, "columns")
        plain = X.astype(object).where(X.notna(), None) if frame else X
        array = validate_data(self, plain, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        cells = array.astype(object)
        if array.dtype.kind == "f":
            return cells
        return np.array([[_cell(cell) for cell in row] for row in cells.tolist()], dtype=object).reshape(cells.shape)

    def __sklearn_tags__(self) -> Any:
        """Cells may be missing, and may be names."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _cell(cell: Any) -> Any:
    """A cell as a `kptk.columns.Column` holds it."""
    if isinstance(cell, dict | list | set | tuple):
        raise TypeError(f"argument must be a string or a number. Received: a cell that is a {type(cell).__name__}.")
    if isinstance(cell, bool | int):
        return float(cell)
    return cell


def _kinds(X: Any) -> list[str]:
    """Kinds of the columns of a data frame; empty for anything else."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return []
    kinds = {"b": FLAG, "i": NUMBER, "u": NUMBER, "f": NUMBER, "M": DATE}
    return [kinds.get(getattr(dtype, "kind", "O"), CATEGORY) for dtype in list(dtypes)]
