"""Scaling and encoding against the numbers of scikit-learn and category_encoders, in the graph and through the whole layer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kptk.columns import CATEGORY, NUMBER, Column
from kptk.data import ArraySource
from kptk.errors import InputError, KptkError
from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "preprocess_oracles.npz"


def case(name: str) -> dict:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        found = {key.partition("|")[2]: arrays[key] for key in arrays.files if key.startswith(f"{name}|")}
        meta = next(item for item in json.loads(str(arrays["meta"])) if item["id"] == name)
    return found | {"meta": meta}


def numbers(array: np.ndarray) -> ArraySource:
    made = ArraySource(array.astype(object), inputs="table")
    made.columns = tuple(Column(f"c{place}", NUMBER) for place in range(array.shape[1]))
    return made


def names(values: np.ndarray) -> ArraySource:
    made = ArraySource(np.array(values.tolist(), dtype=object)[:, None], inputs="table")
    made.columns = (Column("c", CATEGORY),)
    return made


def table(source: ArraySource, **options):
    keras = backend.import_keras()
    from kptk_tables.table import Table

    made = Table(views=1, anchor="clean", indicators=False, **options)
    made.fit(source)
    return made, lambda rows: keras.ops.convert_to_numpy(made.plain(made.prepare(rows)))


@pytest.mark.parametrize("scaling", ["minmax", "standard", "maxabs", "robust"])
def test_scalings_equal_scikit_learn(scaling: str) -> None:
    found = case(scaling)
    source = numbers(found["in|fit"])
    made, plain = table(source, scaling=scaling)
    np.testing.assert_allclose(plain(source.read(np.arange(len(source)))), found["out|fit_t"], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(plain(found["in|new"].astype(object)), found["out|new_t"], rtol=2e-5, atol=2e-5)
    back = made.inverse(found["out|fit_t"]).astype(float)
    np.testing.assert_allclose(back, found["out|inverse"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_missing_numbers_do_not_count(scaling: str) -> None:
    found = case(f"{scaling}_nan")
    wanted = found["out|fit_t"]
    _, plain = table(numbers(found["in|fit"]), scaling=scaling, missing="mean")
    known = np.isfinite(wanted)
    got = plain(found["in|fit"].astype(object))
    np.testing.assert_allclose(got[known], wanted[known], rtol=2e-5, atol=2e-6)
    assert (~known).any()
    if scaling == "standard":
        np.testing.assert_allclose(got[~known], 0.0, atol=1e-6)  # the mean stands for what is missing


def test_learning_in_pieces_equals_learning_at_once() -> None:
    from kptk_tables.learning import Numbers

    found = case("partial_fit")
    for place, (mean, variance) in enumerate(zip(found["out|standard_mean"], found["out|standard_var"], strict=True)):
        made = Numbers()
        for start in range(0, len(found["in|fit"]), 5):
            values = found["in|fit"][start : start + 5, place]
            made.update(values, np.ones(len(values), bool))
        assert made.mean == pytest.approx(mean, rel=1e-12)
        assert made.variance == pytest.approx(variance, rel=1e-12, abs=1e-12)


def test_moments_keep_their_digits_far_from_zero() -> None:
    from kptk_tables.learning import Numbers

    values = np.random.default_rng(0).normal(1e9, 1.0, 10_000)
    made = Numbers()
    for start in range(0, len(values), 100):
        made.update(values[start : start + 100], np.ones(100, bool))
    assert made.variance == pytest.approx(values.var(), rel=1e-6)  # a sum of squares is off by 128 here


@pytest.mark.parametrize("output", ["normal", "uniform"])
def test_quantile_scaling_equals_scikit_learn(output: str) -> None:
    from sklearn.preprocessing import QuantileTransformer

    from kptk_tables.scaling import KNOTS

    rng = np.random.default_rng(0)
    # 1 + a multiple of 100 rows: scikit-learn's knots are then rows themselves, with ties in the second column.
    fit = np.stack([rng.lognormal(size=901), np.floor(rng.exponential(size=901))], axis=1)
    new = np.concatenate([fit[:50], rng.lognormal(size=(50, 2)), [[-5.0, 100.0]]])
    other = QuantileTransformer(n_quantiles=KNOTS, output_distribution=output, subsample=None).fit(fit)
    made, plain = table(numbers(fit), scaling="quantile" if output == "normal" else "uniform")
    np.testing.assert_allclose(plain(new.astype(object)), other.transform(new), rtol=2e-4, atol=2e-4)
    inside = fit[(fit[:, 0] > np.quantile(fit[:, 0], 0.02)) & (fit[:, 0] < np.quantile(fit[:, 0], 0.98))]
    back = made.inverse(plain(inside.astype(object))).astype(float)
    np.testing.assert_allclose(back[:, 0], inside[:, 0], rtol=5e-3)


def test_one_hot_equals_scikit_learn() -> None:
    found = case("onehot")
    made, plain = table(names(found["in|fit"]))
    np.testing.assert_array_equal(plain(found["in|fit"].astype(object)[:, None]), found["out|fit_t"])
    np.testing.assert_array_equal(plain(found["in|new"].astype(object)[:, None]), found["out|new_t"])
    assert made.known.columns[0].values == found["out|categories"].tolist()
    assert made.inverse(found["out|new_t"])[:, 0].tolist() == ["blue", None, "red"]


def test_ordinal_codes_equal_scikit_learn_and_unknown_is_minus_one() -> None:
    found = case("label")
    made, plain = table(names(found["in|fit"]), categories="ordinal", scaling="none")
    np.testing.assert_array_equal(plain(found["in|fit"].astype(object)[:, None])[:, 0], found["out|codes"])
    assert plain(np.array([["never"]], dtype=object))[0, 0] == -1
    assert made.inverse(found["out|codes"][:, None].astype(float))[:, 0].tolist() == found["in|fit"].tolist()


def test_binary_digits_equal_category_encoders() -> None:
    found = case("binary")
    made, plain = table(names(found["in|fit"]), categories="binary")
    np.testing.assert_array_equal(plain(found["in|fit"].astype(object)[:, None]), found["out|fit_t"])
    np.testing.assert_array_equal(plain(found["in|new"].astype(object)[:, None]), found["out|new_t"])
    assert made.inverse(found["out|fit_t"].astype(float))[:, 0].tolist() == found["in|fit"].tolist()


def test_hashed_names_need_no_fit_and_differ_by_name_only() -> None:
    import hashlib

    fit = np.array(["a", "b", "c", "a"])
    _, plain = table(names(fit), categories="hashed", buckets=8)
    got = plain(np.array([["a"], ["zebra"]], dtype=object))
    wanted = [int(hashlib.md5(name.encode()).hexdigest(), 16) % 8 for name in ("a", "zebra")]
    assert got.argmax(axis=1).tolist() == wanted
    assert got.sum(axis=1).tolist() == [1, 1]


@pytest.mark.parametrize(("policy", "wanted"), [("median", 2.0), ("mean", 4.0), ("most_frequent", 1.0), ("zero", 0.0)])
def test_fillers(policy: str, wanted: float) -> None:
    from sklearn.impute import SimpleImputer

    column = np.array([1.0, 1.0, 3.0, 11.0, np.nan, 2.0, 6.0])[:, None]
    column[5] = 2.0
    _, plain = table(numbers(column), scaling="none", missing=policy)
    got = plain(np.array([[np.nan]], dtype=object))[0, 0]
    strategy = {"zero": "constant"}.get(policy, policy)
    other = SimpleImputer(strategy=strategy, fill_value=0.0 if policy == "zero" else None).fit(column)
    assert got == pytest.approx(other.transform([[np.nan]])[0, 0])
    del wanted


def test_missing_is_marked_and_may_be_refused() -> None:
    keras = backend.import_keras()
    from kptk_tables.table import Table

    column = np.array([[1.0], [np.nan], [3.0]])
    made = Table(views=1)
    made.fit(numbers(column))
    assert keras.ops.convert_to_numpy(made.plain(made.prepare(column.astype(object))))[:, 1].tolist() == [0, 1, 0]
    strict = Table(views=1, missing="error")
    with pytest.raises(InputError, match="'c0' has 1 missing cells"):
        strict.fit(numbers(column))
    strict.fit(numbers(column[::2]))
    with pytest.raises(InputError, match="missing='error'"):
        strict.prepare(column.astype(object))


@pytest.mark.parametrize("policy", ["own", "zeros"])
def test_a_missing_name_is_a_category_of_its_own_or_nothing(policy: str) -> None:
    values = np.array(["a", "b", None, "a"], dtype=object)
    _, plain = table(names(values), missing_category=policy)
    got = plain(values[:, None])
    wanted = {"own": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], "zeros": [[1, 0], [0, 1], [0, 0], [1, 0]]}[policy]
    assert got.tolist() == wanted


def test_unknown_names_by_policy() -> None:
    fit, new = np.array(["a", "b", "a", "c"]), np.array([["never"]], dtype=object)
    assert table(names(fit))[1](new).tolist() == [[0, 0, 0]]
    assert table(names(fit), unknown="other")[1](new).tolist() == [[0, 0, 0, 1]]
    made, _ = table(names(fit), unknown="error")
    with pytest.raises(InputError, match="'never', which no training row has"):
        made.prepare(new)


def test_rare_names_have_no_code_of_their_own() -> None:
    fit = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    made, plain = table(names(fit), max_categories=2, unknown="other")
    assert made.known.columns[0].values == ["a", "b", "(other)"]
    assert plain(np.array([["c"]], dtype=object)).tolist() == [[0, 0, 1]]
    with pytest.raises(InputError, match="3 categories, more than"):
        table(names(fit), max_categories=2, unknown="error")


def test_dates_become_days_and_cycles() -> None:
    keras = backend.import_keras()
    from datetime import datetime

    from kptk.columns import DATE
    from kptk_tables.table import Table

    cells = np.array([[datetime(2026, 1, 1)], [datetime(2026, 7, 1)], [None]], dtype=object)
    source = ArraySource(cells, inputs="table")
    source.columns = (Column("when", DATE),)
    made = Table(views=1, indicators=False)
    made.fit(source)
    assert made.known.columns[0].parts == ["days", "month", "weekday"]  # always the first of a month, at midnight
    got = keras.ops.convert_to_numpy(made.plain(made.prepare(cells)))
    assert made.known.feature_names[1:3] == ["when month sin", "when month cos"]
    np.testing.assert_allclose(got[:, 2], [1.0, -1.0, 0.0], atol=1e-6)  # January and July are opposite; missing is 0
    thursday, wednesday = (2 * np.pi * day / 7 for day in (3, 2))
    np.testing.assert_allclose(got[:2, 3], [np.sin(thursday), np.sin(wednesday)], atol=1e-6)


def test_only_the_rows_given_to_fit_count() -> None:
    fit = np.arange(10.0)[:, None]
    made, plain = table(numbers(fit), scaling="minmax")
    before = made.get_config()
    plain(np.array([[1000.0]], dtype=object))
    assert made.get_config() == before
    assert plain(np.array([[18.0]], dtype=object))[0, 0] == pytest.approx(2.0)


def test_columns_are_found_by_name() -> None:
    rows = np.array([[1.0, "x"], [3.0, "y"]], dtype=object)
    source = ArraySource(rows, inputs="table")
    source.columns = (Column("a", NUMBER), Column("b", CATEGORY))
    made, _ = table(source)
    other = ArraySource(np.array([["y", 7.0, 3.0]], dtype=object), inputs="table", name="other.csv")
    other.columns = (Column("b", CATEGORY), Column("c", NUMBER), Column("a", NUMBER))
    assert made.prepared(other).read(np.array([0])).tolist() == [[3.0, 1.0]]
    other.columns = (Column("b", CATEGORY), Column("c", NUMBER), Column("d", NUMBER))
    with pytest.raises(InputError, match=r"other.csv.*the column 'a', which the model learned from, is not there"):
        made.prepared(other)


def test_wrong_cells_are_named() -> None:
    made, _ = table(numbers(np.arange(4.0)[:, None]))
    with pytest.raises(InputError, match="column 'c0' must hold numbers"):
        made.prepare(np.array([["seven"]], dtype=object))
    with pytest.raises(KptkError, match="must have 1 columns"):
        made.prepare(np.array([[1.0, 2.0]], dtype=object))
