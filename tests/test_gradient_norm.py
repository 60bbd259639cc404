"""The gradient norm beside training equals the formula's, on every backend, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.training.gradient_norm import GradientNorm
from kptk.training.health import HealthCallback

RNG = np.random.default_rng(0)


def test_equals_the_formula_of_a_linear_model() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    x, y = RNG.normal(size=(20, 3)).astype("float32"), RNG.normal(size=(20, 1)).astype("float32")
    kernel, bias = model.get_weights()
    error = x @ kernel + bias - y
    gradient = np.concatenate([(2 * error * x).mean(axis=0), (2 * error).mean(axis=0)])
    assert GradientNorm(model)(x, y) == pytest.approx(np.linalg.norm(gradient), rel=1e-4)


def pretrainer(name: str = "momentum"):
    keras.utils.set_random_seed(0)
    backbone = kptk.backbone("resnet18", input_shape=(16, 16, 1), width=4, stem="small")
    model = kptk.objective(name, backbone=backbone)
    model.compile(keras.optimizers.SGD(0.1))
    model.optimizer.build(model.trainable_variables)
    return model


def test_leaves_weights_averages_queues_and_random_state_alone() -> None:
    model = pretrainer()
    x = RNG.integers(0, 256, (16, 16, 16, 1)).astype("uint8")
    before = [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.variables]
    drawn = backend.random_state()
    norm = GradientNorm(model)
    values = [norm(x), norm(x)]
    assert values[0] == pytest.approx(values[1])  # the same random views: their seed has not moved
    assert 0 < values[0] < 1e4
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(variable.value), err_msg=variable.path)
    np.testing.assert_array_equal(drawn, backend.random_state())


def test_follows_the_weights() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(loss="mse")
    norm, one = GradientNorm(model), np.ones((4, 1), "float32")
    for weight in (3.0, 5.0, 1.0):
        model.set_weights([np.array([[weight]])])
        assert norm(one, one) == pytest.approx(2 * abs(weight - 1), abs=1e-6)


def test_is_logged_by_fit_and_a_model_that_has_none_goes_on() -> None:
    x = RNG.integers(0, 256, (32, 16, 16, 1)).astype("uint8")
    model = pretrainer("contrastive")
    history = model.fit(x, batch_size=16, epochs=2, verbose=0, callbacks=[HealthCallback(x)]).history
    assert len(history["gradient_norm"]) == 2
    assert all(np.isfinite(history["gradient_norm"]))

    class Stubborn(HealthCallback):
        def _gradient_norm(self):
            self._norm = lambda *_: 1 / 0
            self._norm.model = self.model  # type: ignore[attr-defined]
            return super()._gradient_norm()

    with pytest.warns(RuntimeWarning, match="no gradient norm: ZeroDivisionError"):
        history = model.fit(x, batch_size=16, epochs=2, verbose=0, callbacks=[Stubborn(x)]).history
    assert "gradient_norm" not in history
    assert len(history["feature_spread"]) == 2
