"""Corruption, cell errors and objectives of tables against NumPy references."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def keras():
    return backend.import_keras()


def groups():
    from kptk_tables.layout import Group

    return [
        Group(column=0, kind="number", names=["a"]),
        Group(column=1, kind="number", names=["b"]),
        Group(column=1, kind="bits", names=["b missing"]),
        Group(column=2, kind="onehot", names=["c=x", "c=y", "c=z"]),
        Group(column=3, kind="onehot", names=["d=x", "d=y"]),
        Group(column=4, kind="bits", names=["e digit 2", "e digit 1"]),
    ]


def reference(raw: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The errors of the six groups above, cell by cell."""
    raw, targets = raw.astype(np.float64), targets.astype(np.float64)
    out = np.zeros((len(raw), 5))

    def bits(row: int, place: int) -> float:
        p = 1 / (1 + math.exp(-raw[row, place]))
        t = targets[row, place]
        return -t * math.log(p) - (1 - t) * math.log(1 - p)

    def code(row: int, places: slice) -> float:
        p = np.exp(raw[row, places]) / np.exp(raw[row, places]).sum()
        return -float((targets[row, places] * np.log(p)).sum())

    for row in range(len(raw)):
        out[row, 0] = (raw[row, 0] - targets[row, 0]) ** 2
        out[row, 1] = ((raw[row, 1] - targets[row, 1]) ** 2 + bits(row, 2)) / 2
        out[row, 2] = code(row, slice(3, 6))
        out[row, 3] = code(row, slice(6, 8))
        out[row, 4] = (bits(row, 8) + bits(row, 9)) / 2
    return out


def cells(rows: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = np.zeros((rows, 10), "float32")
    targets[:, :2] = rng.normal(size=(rows, 2))
    targets[:, [2, 8, 9]] = rng.integers(0, 2, (rows, 3))
    targets[np.arange(rows), 3 + rng.integers(0, 3, rows)] = 1
    targets[np.arange(rows), 6 + rng.integers(0, 2, rows)] = 1
    targets[0, 3:6] = 0  # an unknown name
    return rng.normal(size=(rows, 10)).astype("float32"), targets


def test_cell_losses_equal_the_formula(keras) -> None:
    from kptk_tables.cells import cell_losses

    raw, targets = cells()
    got = keras.ops.convert_to_numpy(cell_losses(*map(keras.ops.convert_to_tensor, (raw, targets)), groups(), 5))
    np.testing.assert_allclose(got, reference(raw, targets), rtol=1e-5, atol=1e-6)
    assert got[0, 2] == 0


def test_gradient_of_the_masked_loss_equals_finite_differences(keras) -> None:
    from kptk.testing.gradients import value_and_gradients
    from kptk_tables.cells import cell_losses
    from kptk_tables.masked_cells import masked_loss

    raw, targets = cells(3)
    hidden = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]], "float32")

    def formula(values: np.ndarray) -> float:
        return float((reference(values, targets) * hidden).sum() / hidden.sum())

    wanted, places = map(keras.ops.convert_to_tensor, (targets, hidden))
    value, (gradient,) = value_and_gradients(lambda x: masked_loss(cell_losses(x, wanted, groups(), 5), places), raw)
    assert value == pytest.approx(formula(raw), rel=1e-5)
    for index in np.ndindex(raw.shape):
        step = np.zeros(raw.shape)
        step[index] = 1e-5
        difference = (formula(raw + step) - formula(raw - step)) / 2e-5
        assert gradient[index] == pytest.approx(difference, rel=2e-3, abs=1e-4)


def test_nothing_hidden_is_no_loss(keras) -> None:
    from kptk_tables.masked_cells import masked_loss

    ops = keras.ops
    assert float(ops.convert_to_numpy(masked_loss(ops.ones((2, 3)), ops.zeros((2, 3))))) == 0


@pytest.mark.parametrize(("amount", "wanted"), [(0.0, 0), (0.05, 1), (0.6, 6), (1.0, 10)])
def test_the_same_number_of_columns_is_chosen_in_each_row(keras, amount: float, wanted: int) -> None:
    from kptk_tables.corruption import choose_cells

    chosen = keras.ops.convert_to_numpy(choose_cells(500, 10, amount, 0))
    assert (chosen.sum(axis=1) == wanted).all()
    if 0 < wanted < 10:
        assert abs(chosen.mean(axis=0) - wanted / 10).max() < 0.1  # every column equally often
        assert len({tuple(row) for row in chosen.tolist()}) > 5


def test_cells_are_lent_by_other_rows_and_columns_stay_whole(keras) -> None:
    from kptk_tables.corruption import lend

    rows = np.arange(400, dtype="float32")[:, None] * np.array([[1.0, 10.0, 10.5, 1000.0]], "float32")
    chosen = np.zeros((400, 3), bool)
    chosen[:, 1] = True
    got = keras.ops.convert_to_numpy(lend(rows, chosen, [0, 1, 1, 2], 0))
    np.testing.assert_array_equal(got[:, [0, 3]], rows[:, [0, 3]])
    lenders = got[:, 1] / 10
    np.testing.assert_allclose(got[:, 2], lenders * 10.5)  # the two numbers of a column come from one row
    assert abs(lenders.mean() - 199.5) < 20  # the marginal distribution: uniform over the rows
    assert len(np.unique(lenders)) > 200


def test_missing_cells_are_lent_too(keras) -> None:
    from kptk_tables.corruption import lend

    rows = np.array([[np.nan], [np.nan], [1.0]], "float32")
    got = keras.ops.convert_to_numpy(lend(rows, np.ones((3, 1), bool), [0], 1))
    assert np.isin(got[np.isfinite(got)], [1.0]).all()


def test_chance_is_what_the_marginals_give(keras) -> None:
    from kptk.columns import CATEGORY, NUMBER, Column
    from kptk.data import ArraySource
    from kptk_tables.cells import chance
    from kptk_tables.table import Table

    rng = np.random.default_rng(0)
    rows = np.empty((4000, 2), dtype=object)
    rows[:, 0] = rng.normal(5, 3, 4000)
    rows[:, 1] = np.where(rng.random(4000) < 0.25, "x", "y")
    source = ArraySource(rows, inputs="table")
    source.columns = (Column("n", NUMBER), Column("c", CATEGORY))
    table = Table(views=1)
    table.fit(source)
    share = (rows[:, 1] == "x").mean()
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert chance(table) == pytest.approx((1.0 + entropy) / 2, rel=1e-3)


def test_scarf_is_nt_xent_of_both_views(keras) -> None:
    from kptk.training.losses import nt_xent
    from kptk_tables import toys
    from kptk_tables.scarf import Scarf

    keras.utils.set_random_seed(0)
    model = Scarf(toys.backbone("vector"), toys.views(2))
    x, _ = toys.inputs(16, 0)
    views = model.views(x)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(v) for v in (views[0], model.views.plain(x))))
    outputs = model.forward_views(views, training=False)
    each = [model.projector(model.encode(view)) for view in views]
    wanted = float(keras.ops.convert_to_numpy(nt_xent(*each, 1.0)))
    assert float(keras.ops.convert_to_numpy(model.objective_loss(outputs, None))) == pytest.approx(wanted, rel=1e-5)
    assert model.chance_loss(16) == pytest.approx(math.log(31))


def test_a_backbone_never_sees_a_hidden_cell(keras) -> None:
    """The features of rows that differ in a hidden cell alone are the same."""
    from kptk_tables import toys
    from kptk_tables.masked_cells import MaskedCells

    keras.utils.set_random_seed(0)
    model = MaskedCells(toys.backbone("vector"), toys.views(1), amount=1.0)
    x, _ = toys.inputs(8, 0)
    raw = keras.ops.convert_to_numpy(model(x, training=False)["raw"])
    np.testing.assert_allclose(raw, np.repeat(raw[:1], 8, axis=0), rtol=1e-5, atol=1e-6)


def test_objectives_that_restore_cells_say_what_they_need(keras) -> None:
    from kptk_tables import toys
    from kptk_tables.masked_cells import MaskedCells
    from kptk_tables.table import Table
    from kptk_tables.table_autoencoder import TableAutoencoder

    for objective in (MaskedCells, TableAutoencoder):
        for views in (None, Table(views=2)):
            with pytest.raises(UsageError, match="needs the fitted preprocessor 'tables/table'"):
                objective(toys.backbone("vector"), views)
        corrupted = toys.views(2)
        corrupted.anchor = "corrupted"
        with pytest.raises(UsageError, match=r"preprocessor\.anchor=clean"):
            objective(toys.backbone("vector"), corrupted)


@pytest.mark.parametrize("groups", ["1,1,3", ""])
def test_ft_transformer_has_a_token_a_column(keras, groups: str) -> None:
    from kptk_tables.ft_transformer import ft_transformer

    model = ft_transformer((5,), width=8, depth=1, heads=2, groups=groups)
    columns = 3 if groups else 5
    assert model.get_layer("encoder").input_shape == (None, None, 8)
    tokens = [layer for layer in model.layers if isinstance(layer, keras.layers.EinsumDense)]
    assert sum(int(layer.output.shape[1]) for layer in tokens) == columns + 1  # and the class token
    rows = np.zeros((2, 5), "float32")
    rows[1, 4] = 1
    got = keras.ops.convert_to_numpy(model(rows))
    assert got.shape == (2, 8)
    assert not np.allclose(got[0], got[1])


def test_groups_must_make_up_the_features() -> None:
    backend.import_keras()
    from kptk_tables.ft_transformer import ft_transformer

    with pytest.raises(UsageError, match="groups"):
        ft_transformer((5,), groups="1,1")


@pytest.mark.parametrize(
    ("plugin", "options", "recipe"),
    [
        ("contrastive", {}, "tables/contrastive_tables"),
        ("contrastive", {"data.label": "y"}, "tables/contrastive_tables"),
        ("contrastive", {"data.text": "words"}, "language/simcse"),
        ("masked", {}, "tables/masked_cells"),
        ("masked", {"data.text": "words"}, "language/mlm"),
        ("denoising", {}, "tables/table_autoencoder"),
        ("mlm", {}, "language/mlm"),
    ],
)
def test_a_csv_is_a_table_unless_its_column_of_texts_is_named(tmp_path, plugin, options, recipe) -> None:
    from kptk.config import resolve
    from kptk.plugins import Plugins
    from kptk.request import Request, Setting

    path = tmp_path / "some.csv"
    path.write_text("words,x,y\nhello there,1,a\ngood bye,2,b\n")
    settings = tuple(Setting(key, value) for key, value in options.items())
    assert resolve(Plugins(), Request(recipe=plugin, data=str(path), settings=settings)).recipe == recipe
