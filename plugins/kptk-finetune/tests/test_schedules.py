"""Layer-wise rates and the slanted triangle against closed forms, and against plain optimisers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "finetune_oracles.npz"


def case(name: str) -> tuple[dict, dict, dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        meta = next(item for item in json.loads(str(arrays["meta"])) if item["id"] == name)
        parts = [
            {key.split("|")[2]: arrays[key] for key in arrays.files if key.startswith(f"{name}|{side}|")}
            for side in ("in", "out")
        ]
    return meta["params"], parts[0], parts[1]


def test_layer_rates_equal_the_closed_form() -> None:
    backend.import_keras()
    from kptk.training.rates import layer_rates

    params, inputs, outputs = case("discriminative_lr")
    got = params["top_lr"] * np.array(layer_rates(len(inputs["layer"]), params["factor"]))
    np.testing.assert_allclose(got, outputs["lr"], rtol=1e-9)


def test_slanted_triangle_equals_the_closed_form() -> None:
    keras = backend.import_keras()
    from kptk.training.rates import SlantedTriangle

    params, inputs, outputs = case("stlr")
    schedule = SlantedTriangle(params["lr_max"], params["T"], params["cut_frac"], params["ratio"])
    got = [float(keras.ops.convert_to_numpy(schedule(step))) for step in inputs["step"]]
    np.testing.assert_allclose(got, outputs["lr"], rtol=2e-5)
    again = SlantedTriangle.from_config(schedule.get_config())
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_warm_up_and_fall_equal_another_program(shape: str) -> None:
    """The fall is the same number for number. The rise is one step ahead: there, the first step has the rate 0."""
    keras = backend.import_keras()
    from kptk.training.optimizer import WarmupCosine
    from kptk.training.rates import WarmupLinear

    params, inputs, outputs = case("warmup_schedules")
    made = WarmupCosine if shape == "cosine" else WarmupLinear
    schedule = made(params["base_lr"], params["warmup"], params["total"])
    got = np.array([float(keras.ops.convert_to_numpy(schedule(step))) for step in inputs["step"]])
    warm = params["warmup"]
    np.testing.assert_allclose(got[warm:], outputs[shape][warm:], rtol=1e-4, atol=1e-10)
    np.testing.assert_allclose(got[: warm - 1], outputs[shape][1:warm], rtol=1e-5)
    assert made.from_config(schedule.get_config()).get_config() == schedule.get_config()


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD"])
def test_layerwise_step_is_the_plain_step_times_the_factor(name: str) -> None:
    """One step from the same gradient: the change of each variable is its factor times the plain change."""
    keras = backend.import_keras()
    from kptk.training.rates import layerwise

    plain = getattr(keras.optimizers, name)(0.1, weight_decay=0.01)
    start = np.array([1.0, -2.0, 3.0], "float32")
    gradient = np.array([0.5, -1.0, 0.25], "float32")
    moved = []
    for factors in ({}, {"low": 0.25, "high": 1.0, "frozen": 0.0}):
        variables = [keras.Variable(start, name=part) for part in ("low", "high", "frozen")]
        optimizer = layerwise(plain, {variable.path: factors.get(variable.name, 1.0) for variable in variables})
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 3, variables)
        moved.append([keras.ops.convert_to_numpy(variable.value) - start for variable in variables])
    reference = getattr(keras.optimizers, name)(0.1, weight_decay=0.01)
    variable = keras.Variable(start)
    reference.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    np.testing.assert_allclose(moved[0][0], keras.ops.convert_to_numpy(variable.value) - start, rtol=1e-5)
    # Adam's own step is 0.1; decay acts before it, so the two add up to within the square of the rate.
    np.testing.assert_allclose(moved[1][0], 0.25 * moved[0][0], rtol=3e-3)
    np.testing.assert_array_equal(moved[1][1], moved[0][1])
    np.testing.assert_array_equal(moved[1][2], 0)


def test_layerwise_keeps_what_weight_decay_leaves_out() -> None:
    keras = backend.import_keras()
    from kptk.training.optimizer import weight_decay_exclusions
    from kptk.training.rates import layerwise

    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    layered = layerwise(optimizer, {})
    (excluded,) = weight_decay_exclusions(layered)
    assert set(excluded.split("|")) == {"bias", "gamma"}  # Keras keeps them as a set: their order is the hash seed's
    bias, kernel = (
        keras.Variable(np.ones(2, "float32"), name="bias"),
        keras.Variable(np.ones(2, "float32"), name="kernel"),
    )
    layered.apply([keras.ops.zeros(2)] * 2, [bias, kernel])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(bias.value), 1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(kernel.value), 0.95, rtol=1e-6)


def test_layerwise_refuses_other_optimisers() -> None:
    keras = backend.import_keras()
    from kptk.training.rates import layerwise

    with pytest.raises(UsageError, match="Received: RMSprop"):
        layerwise(keras.optimizers.RMSprop(), {})
