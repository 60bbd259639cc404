"""The three forms and SupCon against NumPy references written from the papers, and other programs' numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training.losses import nt_xent
from kptk_simultaneous.simultaneous import FORMS
from kptk_simultaneous.supcon import supcon

ORACLES = Path(__file__).parent / "data" / "multiview_oracles.npz"
RNG = np.random.default_rng(0)


def unit(z: np.ndarray) -> np.ndarray:
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def supcon_reference(z: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Equation 2 of the paper, anchor by anchor."""
    z, total = unit(z.astype(np.float64)), 0.0
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        below = sum(math.exp(z[i] @ z[a] / temperature) for a in others)
        if positives:
            logs = [math.log(math.exp(z[i] @ z[p] / temperature) / below) for p in positives]
            total += -sum(logs) / len(positives)
    return total / len(z)


def pairs_reference(z: np.ndarray, temperature: float) -> float:
    """Each ordered pair of views of an example against the views of all others."""
    z = unit(z.astype(np.float64))
    views, count, _ = z.shape
    losses = []
    for n in range(count):
        for i in range(views):
            negatives = [
                math.exp(z[i, n] @ z[a, m] / temperature) for a in range(views) for m in range(count) if m != n
            ]
            for p in range(views):
                if p != i:
                    own = math.exp(z[i, n] @ z[p, n] / temperature)
                    losses.append(-math.log(own / (own + sum(negatives))))
    return float(np.mean(losses))


def full_graph_reference(z: np.ndarray, temperature: float) -> float:
    """Two-view NT-Xent (SupCon of two views without labels) of every pair of views."""
    views, count, _ = z.shape
    numbers = np.tile(np.arange(count), 2)
    return float(
        np.mean(
            [
                supcon_reference(np.concatenate([z[i], z[j]]), numbers, temperature)
                for i in range(views)
                for j in range(i + 1, views)
            ]
        )
    )


def all_positives_reference(z: np.ndarray, temperature: float) -> float:
    views, count, dim = z.shape
    return supcon_reference(z.reshape(-1, dim), np.tile(np.arange(count), views), temperature)


REFERENCES = {"all-positives": all_positives_reference, "pairs": pairs_reference, "full-graph": full_graph_reference}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("views", "count", "temperature"), [(2, 5, 0.5), (3, 2, 0.1), (5, 4, 1.0)])
def test_forms_equal_their_formulas(form, views, count, temperature) -> None:
    z = RNG.normal(size=(views, count, 6))
    value, _ = value_and_gradients(lambda x: FORMS[form](x, temperature), z)
    assert value == pytest.approx(REFERENCES[form](z, temperature), rel=2e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0], [3, 1, 1, 9, 1, 3]])
def test_supcon_equals_the_formula(labels, temperature) -> None:
    z = RNG.normal(size=(6, 4))
    value, _ = value_and_gradients(lambda x: supcon(x, np.array(labels), temperature), z)
    assert value == pytest.approx(supcon_reference(z, np.array(labels), temperature), rel=2e-5)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_equal_finite_differences_of_the_formula(form) -> None:
    z = RNG.normal(size=(3, 3, 4))
    _, (gradient,) = value_and_gradients(lambda x: FORMS[form](x, 0.3), z)
    for index in np.ndindex(*z.shape):
        step = np.zeros_like(z)
        step[index] = 1e-5
        up, down = (REFERENCES[form](z + sign * step, 0.3) for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=2e-3, abs=2e-5)


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


OF_METHOD = {
    "multiview_supcon": "all-positives",
    "multiview_ntxent_pairs": "pairs",
    "multiview_full_graph": "full-graph",
}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_equals_other_programs(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        inputs = {name: arrays[f"{case['id']}|in|{name}"] for name in case["inputs"]}
        wanted = {name: arrays[f"{case['id']}|out|{name}"] for name in case["outputs"]}
    temperature = case["params"]["temperature"]
    if case["method"] == "supcon":
        value, (gradient,) = value_and_gradients(lambda z: supcon(z, inputs["y"], temperature), inputs["z"])
        expected = wanted["grad_z"]
    else:
        form = FORMS[OF_METHOD[case["method"]]]
        value, (gradient,) = value_and_gradients(lambda z: form(z, temperature), inputs["views"])
        expected = wanted["grad_views"]
    assert value == pytest.approx(float(wanted["loss"]), rel=5e-5)
    np.testing.assert_allclose(gradient, expected, rtol=5e-4, atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
def test_with_two_views_every_form_is_nt_xent(form) -> None:
    z = RNG.normal(size=(2, 6, 8))
    value, (gradient,) = value_and_gradients(lambda x: FORMS[form](x, 0.2), z)
    same, (first, second) = value_and_gradients(lambda a, b: nt_xent(a, b, 0.2), z[0], z[1])
    assert value == pytest.approx(same, rel=1e-5)
    np.testing.assert_allclose(gradient, np.stack([first, second]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_the_views_does_not_matter(form) -> None:
    z = RNG.normal(size=(4, 5, 8))
    one, other = (
        value_and_gradients(lambda x: FORMS[form](x, 0.2), z[order])[0] for order in ([0, 1, 2, 3], [2, 0, 3, 1])
    )
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_chance_where_projections_say_nothing_and_finite_where_they_are_zero(form) -> None:
    model = build(form=form)
    z = RNG.normal(size=(4, 64, 4096))
    assert value_and_gradients(lambda x: FORMS[form](x, 1.0), z)[0] == pytest.approx(model.chance_loss(64), rel=1e-3)
    value, (gradient,) = value_and_gradients(lambda x: FORMS[form](x, 0.1), np.zeros((4, 8, 16)))
    assert value == pytest.approx(model.chance_loss(8), rel=1e-5)
    assert np.isfinite(gradient).all()


def build(name: str = "simultaneous", **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    backbone = keras.Model(inputs, keras.layers.Dense(16)(x))
    return kptk.objective(name, backbone=backbone, **options)


def images(count: int = 12) -> np.ndarray:
    return RNG.integers(0, 256, (count, 16, 16, 3)).astype("uint8")


@pytest.mark.parametrize("form", FORMS)
def test_loss_at_initialisation_is_near_chance(form) -> None:
    model = build(form=form, temperature=1.0)
    value = float(ops.convert_to_numpy(model.objective_loss(model(images(64), training=True), None)))
    assert abs(value - model.chance_loss(64)) < 0.1 * model.chance_loss(64)


def test_the_option_sets_the_number_of_views() -> None:
    model = build(views=6)
    assert tuple(model(images(3), training=False)["views"].shape) == (6, 3, 128)
    assert model.chance_loss(10) == pytest.approx(math.log(59))


def test_multi_crop_takes_views_of_two_sizes() -> None:
    views = kptk.preprocessor("image_views", views=5, local_views=3, local_size=8, seed=0)
    model = build(views=views)
    model.compile(optimizer="sgd", run_eagerly=True)
    history = model.fit(images(), batch_size=6, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert tuple(model(images(4), training=False)["views"].shape) == (5, 4, 128)


def test_a_single_view_is_refused() -> None:
    with pytest.raises(UsageError, match=r"at least two views.*Received: 1"):
        build(views=kptk.preprocessor("image_views", views=1))(images())
    with pytest.raises(UsageError, match="`views` must be an integer at least 2"):
        build(views=1)
    with pytest.raises(UsageError, match="`form` must be one of 'all-positives', 'pairs', 'full-graph'"):
        build(form="some")


def test_supcon_without_labels_says_so() -> None:
    model = build("supcon")
    with pytest.raises(InputError, match="SupCon learns from labels"):
        model.objective_loss(model(images()), None)


def test_supcon_takes_labels_of_one_column_and_of_one_class() -> None:
    model = build("supcon")
    model.compile(optimizer="sgd", run_eagerly=True)
    for labels in (np.arange(12)[:, None] % 3, np.zeros(12, "int64")):
        assert np.isfinite(model.fit(images(), labels, batch_size=12, verbose=0).history["loss"][0])
