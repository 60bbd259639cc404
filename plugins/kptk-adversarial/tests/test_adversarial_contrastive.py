"""The adversarial contrast against its formula, and what the attack does and does not do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend, checkpoint

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training.losses import nt_xent
from kptk_adversarial.adversarial_contrastive import adversarial_contrast

RNG = np.random.default_rng(0)


def nt_xent_reference(z0: np.ndarray, z1: np.ndarray, temperature: float) -> float:
    """Equation 1 of the SimCLR paper, anchor by anchor."""
    z = np.concatenate([z0, z1]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    count, total = len(z), 0.0
    for i in range(count):
        others = sum(math.exp(z[i] @ z[k] / temperature) for k in range(count) if k != i)
        total -= math.log(math.exp(z[i] @ z[(i + count // 2) % count] / temperature) / others)
    return total / count


def reference(z0, z1, attacked, temperature: float, weight: float) -> float:
    clean, adversarial = (nt_xent_reference(z, z1, temperature) for z in (z0, attacked))
    return (clean + weight * adversarial) / (1 + weight)


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 0.5), (0.25, 0.1), (3.0, 1.0)])
def test_equals_the_formula_and_its_finite_differences(weight, temperature) -> None:
    z = RNG.normal(size=(3, 4, 5))
    value, gradients = value_and_gradients(lambda a, b, c: adversarial_contrast(a, b, c, temperature, weight), *z)
    assert value == pytest.approx(reference(*z, temperature, weight), rel=2e-5)
    for which, index in [(0, (0, 1)), (1, (2, 3)), (1, (0, 0)), (2, (3, 4)), (2, (1, 2))]:
        step = np.zeros_like(z)
        step[which][index] = 1e-5
        up, down = (reference(*(z + sign * step), temperature, weight) for sign in (1, -1))
        assert gradients[which][index] == pytest.approx((up - down) / 2e-5, rel=2e-3, abs=2e-5)


def test_without_an_effective_attack_it_is_nt_xent() -> None:
    z0, z1 = RNG.normal(size=(2, 6, 8))
    value, _ = value_and_gradients(lambda a, b: adversarial_contrast(a, b, a, 0.3, 2.0), z0, z1)
    assert value == pytest.approx(nt_xent_reference(z0, z1, 0.3), rel=2e-5)


def build(name: str = "adversarial", seed: int = 0, **options):
    """A model around a backbone with batch normalisation and dropout."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3, strides=2)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(x))
    views = kptk.preprocessor("image_views", views=2, crop=0.6, noise=0.1, seed=seed)
    return kptk.objective(name, backbone=keras.Model(inputs, x), views=views, **options)


def images(count: int = 16) -> np.ndarray:
    return RNG.integers(0, 256, (count, 8, 8, 1)).astype("uint8")


def array(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


def both_views(count: int = 16):
    return tuple(ops.convert_to_tensor(RNG.uniform(0.3, 0.7, (count, 8, 8, 1)).astype("float32")) for _ in range(2))


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("random_start", [False, True])
def test_the_attack_stays_within_epsilon_and_raises_the_loss(steps, random_start) -> None:
    model = build(epsilon=0.2, steps=steps, random_start=random_start)
    first, second = both_views()
    partner = model._project((second,), training=False)
    attacked = model.attack(first, partner, training=False)
    change = array(attacked) - array(first)
    assert 0.15 < np.abs(change).max() <= 0.2 + 1e-6

    def loss(view):
        return float(array(nt_xent(model._project((view,), training=False), partner, 0.5)))

    assert loss(attacked) > loss(first) + 0.05
    if steps == 1 and not random_start:
        seen = np.abs(change[:, :7, :7])  # the convolution does not look at the last row and column
        assert np.isclose(seen, 0.2, atol=1e-5).mean() > 0.95  # the sign method moves every pixel as far as it may


def test_the_attack_respects_the_range_of_pixels() -> None:
    model = build(epsilon=0.5)
    first = ops.convert_to_tensor(np.stack([np.zeros((8, 8, 1)), np.ones((8, 8, 1))]).astype("float32"))
    attacked = array(model.attack(first, model._project((first,), training=False), training=True))
    assert attacked.min() >= 0
    assert attacked.max() <= 1


def test_the_attack_leaves_no_trace() -> None:
    model = build(random_start=False)
    first, second = both_views()
    partner = model._project((second,), training=False)
    before = [array(variable.value) for variable in model.variables]
    model.attack(first, partner, training=True)
    for one, other in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, array(other.value))


def test_more_steps_make_a_stronger_attack() -> None:
    first, second = both_views(32)
    losses = []
    for steps in (1, 10):
        model = build(epsilon=0.1, steps=steps, random_start=False)
        partner = model._project((second,), training=False)
        attacked = model._project((model.attack(first, partner, training=False),), training=False)
        losses.append(float(array(nt_xent(attacked, partner, 0.5))))
    assert losses[1] > losses[0]


@pytest.mark.parametrize("name", ["adversarial", "vat"])
def test_a_run_that_is_restored_ends_bit_for_bit_where_it_would_have(name) -> None:
    x = images(32)

    def steps(model, rows) -> None:
        model.fit(x[rows], batch_size=8, epochs=1, shuffle=False, verbose=0)

    def compiled(seed):
        model = build(name, seed)
        model.compile(optimizer=keras.optimizers.Adam(1e-2), run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
        return model

    model = compiled(0)
    steps(model, slice(0, 16))
    state = checkpoint.capture(model)
    steps(model, slice(16, 32))
    wanted = checkpoint.capture(model)
    other = compiled(5)
    checkpoint.restore(other, state)
    steps(other, slice(16, 32))
    got = checkpoint.capture(other)
    for key in wanted:
        np.testing.assert_array_equal(got[key], wanted[key], err_msg=key)


@pytest.mark.parametrize("name", ["adversarial", "vat"])
@pytest.mark.parametrize(
    "x", [np.zeros((2, 8, 8, 1), "uint8"), np.full((2, 8, 8, 1), 255, "uint8")], ids=["black", "white"]
)
def test_constant_images_and_the_smallest_batch_stay_finite(name, x) -> None:
    model = build(name)
    model.compile(optimizer="sgd", run_eagerly=True)
    assert np.isfinite(model.fit(x, batch_size=2, verbose=0).history["loss"][0])
    assert all(np.isfinite(array(weight)).all() for weight in model.weights)


@pytest.mark.parametrize("name", ["adversarial", "vat"])
def test_loss_at_initialisation_is_near_chance(name) -> None:
    model = build(name, temperature=1.0)
    value = float(array(model.objective_loss(model(images(64), training=True), None)))
    assert abs(value - model.chance_loss(64)) < 0.1 * model.chance_loss(64)


def test_pictures_show_the_attack() -> None:
    model = build(epsilon=0.1)
    rows = model.pictures(both_views(3))
    assert list(rows) == ["view", "attacked", "change", "partner"]
    assert all(tuple(row.shape) == (3, 8, 8, 1) for row in rows.values())
    assert array(rows["change"]).min() >= -1e-5
    assert array(rows["change"]).max() <= 1 + 1e-5


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UsageError, match="`epsilon` must be a number above 0 and at most 1"):
        build(epsilon=0.0)
    with pytest.raises(UsageError, match="`steps` must be an integer at least 1"):
        build(steps=0)
    with pytest.raises(UsageError, match="`xi` must be a number above 0"):
        build("vat", xi=0.0)
