"""The table preprocessor under scikit-learn's own checks, and against scikit-learn's own numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn import preprocessing
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from kptk.errors import InputError
from kptk.training import backend

backend.import_keras()

from kptk_tables.table_transformer import TableTransformer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) * [1, 50, 0.01] + [0, 9, -4]

SETTINGS = [
    {"scaling": "standard"},
    {"scaling": "minmax", "low": -1.0, "high": 1.0},
    {"scaling": "robust", "categories": "ordinal"},
    {"scaling": "maxabs", "categories": "binary"},
    {"scaling": "quantile", "categories": "hashed"},
    {"scaling": "uniform"},
    {"scaling": "none", "indicators": False},
]
EXPECTED: dict[str, str] = {}


@pytest.mark.parametrize("options", SETTINGS, ids=lambda options: options["scaling"])
def test_scikit_learns_checks_pass(options) -> None:
    failed = []
    for estimator, check in estimator_checks_generator(TableTransformer(**options)):
        name = check.func.__name__ if hasattr(check, "func") else str(check)
        try:
            check(estimator)
        except Exception as error:
            if "SkipTest" not in type(error).__name__:
                failed.append((name, str(error).splitlines()[0] if str(error) else repr(error)))
    assert {name for name, _ in failed} == set(EXPECTED), failed


@pytest.mark.parametrize(
    ("options", "scaler"),
    [
        ({"scaling": "standard"}, preprocessing.StandardScaler()),
        ({"scaling": "minmax", "low": -1.0, "high": 1.0}, preprocessing.MinMaxScaler((-1, 1))),
        ({"scaling": "robust"}, preprocessing.RobustScaler()),
        ({"scaling": "maxabs"}, preprocessing.MaxAbsScaler()),
        ({"scaling": "uniform"}, preprocessing.QuantileTransformer(n_quantiles=101)),
        ({"scaling": "quantile"}, preprocessing.QuantileTransformer(n_quantiles=101, output_distribution="normal")),
    ],
)
def test_the_numbers_are_scikit_learns(options, scaler) -> None:
    data = RNG.normal(size=(101, 3)) * [1, 50, 0.5] + [0, 9, -4]  # as many rows as quantiles: both see the same ones
    wanted = scaler.fit_transform(data)
    made = TableTransformer(**options).fit(data)
    np.testing.assert_allclose(made.transform(data), wanted, rtol=2e-4, atol=2e-5)
    back = made.inverse_transform(made.transform(data))
    np.testing.assert_allclose(back, scaler.inverse_transform(wanted), rtol=1e-4, atol=1e-4)


def frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(
        {
            "age": [39, 50, None, 28],
            "town": ["Bern", "Chur", "Bern", None],
            "member": [True, False, True, True],
            "since": pandas.to_datetime(["2020-01-01", "2021-06-01", "2022-03-04", None]),
        }
    )


def test_data_frames_keep_kinds_names_and_output() -> None:
    table = frame()
    made = TableTransformer(scaling="none").fit(table)
    assert [str(column) for column in made.columns_] == ["age:number", "town:category", "member:flag", "since:date"]
    names = made.get_feature_names_out().tolist()
    assert {"age", "age missing", "member", "town=Bern", "town=Chur", "town=(missing)"} <= set(names)
    got = made.set_output(transform="pandas").transform(table)
    assert got.columns.tolist() == names
    assert got["age"].tolist() == [39, 50, 39, 28]  # the median stands for the missing one
    assert got["town=(missing)"].tolist() == [0, 0, 0, 1]
    cells = made.inverse_transform(got)
    assert cells[:, 1].tolist() == ["Bern", "Chur", "Bern", None]
    assert cells[:, 2].tolist() == [1, 0, 1, 1]
    with pytest.raises(ValueError, match="feature names"):
        made.transform(table[["town", "age", "member", "since"]])


def test_in_a_pipeline_a_grid_and_a_pickle() -> None:
    y = (X[:, 0] > 0).astype(int)
    search = GridSearchCV(
        make_pipeline(TableTransformer(), LogisticRegression()),
        {"tabletransformer__scaling": ["minmax", "standard"]},
        cv=2,
    ).fit(X, y)
    assert search.score(X, y) > 0.9
    made = clone(TableTransformer(scaling="robust")).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).transform(X), made.transform(X))


def test_policies_are_kept_and_wrong_features_refused() -> None:
    names = np.array([["a"], ["b"], [None]], dtype=object)
    made = TableTransformer(unknown="error", missing_category="zeros").fit(names)
    assert made.transform(names).tolist() == [[1, 0], [0, 1], [0, 0]]
    with pytest.raises(InputError, match="'c', which no training row has"):
        made.transform(np.array([["c"]], dtype=object))
    with pytest.raises(InputError, match="2 features"):
        made.inverse_transform(np.zeros((1, 3)))
