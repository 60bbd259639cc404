"""The inner gradient: right, and without a trace, eagerly and inside a training step, on every backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk.training.attacks import pgd, project
from kptk.training.input_gradient import input_gradient
from kptk.training.pretrainer import Pretrainer

ORACLES = Path(__file__).parent / "data" / "attack_oracles.npz"
RNG = np.random.default_rng(0)


def array(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


def network(seed: int = 0) -> keras.Model:
    """Everything that has a state of its own: batch normalisation, dropout, a layer that adds a loss."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activity_regularizer="l2"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(3),
        ]
    )


def state(model: keras.Model) -> list[np.ndarray]:
    return [array(variable.value) for variable in model.variables]


def assert_same(before: list[np.ndarray], after: list[np.ndarray]) -> None:
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_equals_the_analytic_gradient_of_logistic_regression() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    x, y = RNG.normal(size=(9, 6)).astype("float32"), np.arange(9) % 3

    def loss(inputs):
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(inputs), from_logits=True))

    kernel, bias = (array(weight) for weight in model.weights)
    logits = x @ kernel + bias
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    analytic = (share - np.eye(3)[y]) @ kernel.T / len(x)
    np.testing.assert_allclose(array(input_gradient(loss, ops.convert_to_tensor(x), model)), analytic, atol=1e-6)


def test_equals_finite_differences_through_batch_statistics() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])

    def loss(inputs):
        return ops.sum(ops.tanh(model(inputs, training=True)))

    x = RNG.normal(size=(5, 4)).astype("float32")
    gradient = array(input_gradient(loss, ops.convert_to_tensor(x), model))
    for index in np.ndindex(5, 4):
        step = np.zeros_like(x)
        step[index] = 1e-2
        up, down = (float(array(loss(ops.convert_to_tensor(x + sign * step)))) for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-2, rel=0.02, abs=2e-3)


def test_leaves_no_trace_on_the_model() -> None:
    model = network()
    before, losses = state(model), len(model.losses)
    x = ops.convert_to_tensor(RNG.normal(size=(9, 6)).astype("float32"))
    gradient = input_gradient(lambda inputs: ops.sum(model(inputs, training=True) ** 2), x, model)
    assert np.abs(array(gradient)).max() > 0
    assert_same(before, state(model))
    assert len(model.losses) == losses
    if backend.name() == "torch":
        assert all(parameter.grad is None for parameter in model.parameters())
    model(x, training=True)
    assert any(not np.array_equal(a, b) for a, b in zip(before, state(model), strict=True))  # so there was one to leave


def test_is_zero_where_the_function_does_not_look() -> None:
    model = network()
    x = ops.convert_to_tensor(np.ones((2, 6), "float32"))
    assert not array(input_gradient(lambda inputs: ops.sum(model.weights[0]) + 0 * inputs[0, 0], x, model)).any()
    assert not array(input_gradient(lambda _: ops.sum(ops.ones((3,))), x, model)).any()


@keras.saving.register_keras_serializable(package="kptk_tests")
class Attacked(Pretrainer):
    """Trains on inputs that an inner gradient changed; `inner` decides whether the gradient is taken at all."""

    def __init__(self, backbone, views=None, *, inner: bool = True, **kwargs) -> None:
        super().__init__(backbone, views, **kwargs)
        self.inner = inner
        self.shift = self.add_weight(shape=(), initializer="zeros", trainable=False, name="shift")

    def forward_views(self, views, training):
        (x,) = views
        changed = x
        if self.inner:
            gradient = input_gradient(lambda inputs: ops.sum(self.encode(inputs, training) ** 2), x, self)
            changed = x + 0.0 * ops.sign(gradient)
        return {
            "features": self.encode(changed, training),
            "size": ops.mean(ops.abs(gradient), axis=1) if self.inner else x,
        }

    def objective_loss(self, outputs, labels):
        return ops.mean(outputs["features"] ** 2)

    def update_state(self, outputs) -> None:
        self.shift.assign(ops.mean(outputs["size"]) if self.inner else 0.0)


@pytest.mark.parametrize("jit", [False, True])
def test_training_with_an_unused_inner_gradient_ends_where_plain_training_does(jit: bool) -> None:
    if jit and (reason := backend.refuses_jit()):
        pytest.skip(reason)
    x = RNG.normal(size=(32, 6)).astype("float32")
    ends = []
    for inner in (True, False):
        model = Attacked(network(), inner=inner)
        model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=jit)
        model.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0)
        ends.append([array(variable.value) for variable in model.backbone.variables])
        if inner:
            assert float(array(model.shift)) > 0  # the gradient was really taken
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_works_where_gradients_are_switched_off() -> None:
    model = Attacked(network())
    outputs = model.predict(RNG.normal(size=(8, 6)).astype("float32"), verbose=0)
    assert outputs["size"].max() > 0


def oracle() -> dict:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        case = json.loads(str(arrays["meta"]))[0]
        return case["params"] | {key.rpartition("|")[2]: arrays[key] for key in arrays.files if key != "meta"}


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_attacks_equal_another_programs(method: str) -> None:
    case = oracle()
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    kernel = case["coef"].T.astype("float32")
    model.layers[0].set_weights([kernel, case["intercept"].astype("float32")])

    def loss(inputs):
        return ops.mean(keras.losses.sparse_categorical_crossentropy(case["y"], model(inputs), from_logits=True))

    size = {"steps": 1, "step_size": case["eps"]} if method == "fgsm" else {"steps": 10, "step_size": case["eps_step"]}
    x = ops.convert_to_tensor(case["x"].astype("float32"))
    got = array(pgd(loss, x, model, epsilon=case["eps"], low=None, high=None, **size))
    np.testing.assert_allclose(got, case[method], rtol=1e-4, atol=1e-4)


def test_perturbations_stay_in_the_ball_and_in_range_and_raise_the_loss() -> None:
    model = network()
    x = RNG.random((16, 6)).astype("float32")
    x[0, :2] = 0, 1

    def loss(inputs):
        return ops.sum(model(inputs, training=False)[:, 0])

    seeds = keras.random.SeedGenerator(0)
    before = float(array(loss(ops.convert_to_tensor(x))))
    for seed in (None, seeds):
        changed = pgd(loss, ops.convert_to_tensor(x), model, epsilon=0.1, steps=4, step_size=0.04, seed=seed)
        assert float(array(loss(changed))) > before
        assert np.abs(array(changed) - x).max() <= 0.1 + 1e-6
        assert array(changed).min() >= 0
        assert array(changed).max() <= 1
    first, second = (
        pgd(loss, ops.convert_to_tensor(x), model, epsilon=0.1, steps=1, step_size=0, seed=seeds) for _ in "ab"
    )
    assert np.abs(array(first) - array(second)).max() > 0.01  # another random start each time


def test_project_without_bounds_only_keeps_the_ball() -> None:
    got = array(project(ops.convert_to_tensor([3.0, -3.0]), ops.convert_to_tensor([0.0, 0.0]), 0.5, None, None))
    assert got.tolist() == [0.5, -0.5]
