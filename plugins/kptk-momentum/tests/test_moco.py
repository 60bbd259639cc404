"""MoCo's losses against NumPy references and other programs' numbers; the order of its steps; its state."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training import checkpoint
from kptk_momentum.moco_v2 import enqueue, queue_contrast
from kptk_momentum.moco_v3 import batch_contrast

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "moco_oracles.npz"
RNG = np.random.default_rng(0)


def array(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def oracle(method: str) -> dict:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        case = next(case for case in json.loads(str(arrays["meta"])) if case["method"] == method)
        prefix = f"{case['id']}|"
        return case | {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}


def reference_v2(queries, keys, queue, temperature: float) -> float:
    """Equation 1 of the MoCo paper, query by query."""
    total = 0.0
    for query, key in zip(queries, keys, strict=True):
        own = math.exp(query @ key / temperature)
        others = sum(math.exp(query @ other / temperature) for other in queue)
        total += -math.log(own / (own + others))
    return total / len(queries)


def reference_v3(queries, keys, temperature: float) -> float:
    """`ctr` of the MoCo v3 paper's algorithm 1, query by query."""
    queries, keys = unit(queries), unit(keys)
    total = 0.0
    for index, query in enumerate(queries):
        scores = [math.exp(query @ key / temperature) for key in keys]
        total += -math.log(scores[index] / sum(scores))
    return 2 * temperature * total / len(queries)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize(("count", "length"), [(1, 5), (4, 1), (7, 16)])
def test_queue_contrast_equals_the_formula(count, length, temperature) -> None:
    queries, keys, queue = (unit(RNG.normal(size=(n, 6))) for n in (count, count, length))
    value, _ = value_and_gradients(lambda q, k, c: queue_contrast(q, k, c, temperature), queries, keys, queue)
    assert value == pytest.approx(reference_v2(queries, keys, queue, temperature), rel=5e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_batch_contrast_equals_the_formula_and_finite_differences(count, temperature) -> None:
    queries, keys = RNG.normal(size=(2, count, 5))
    value, gradients = value_and_gradients(lambda q, k: batch_contrast(q, k, temperature), queries, keys)
    assert value == pytest.approx(reference_v3(queries, keys, temperature), rel=5e-5, abs=1e-6)
    for index in np.ndindex(count, 5):
        step = np.zeros((count, 5))
        step[index] = 1e-5
        up, down = (reference_v3(queries + sign * step, keys, temperature) for sign in (1, -1))
        assert gradients[0][index] == pytest.approx((up - down) / 2e-5, rel=2e-3, abs=1e-5)


def test_seven_steps_equal_another_program() -> None:
    """Loss, gradient of the queries and queue, step after step; K is a multiple of the batch there."""
    case = oracle("moco")
    temperature, size = case["params"]["temperature"], case["params"]["queue_size"]
    batch = case["in|q"].shape[1]

    def ours(theirs: np.ndarray, pointer: int) -> np.ndarray:
        """They write round and round; ours has the newest batch first."""
        blocks = np.roll(theirs, -pointer, axis=0).reshape(size // batch, batch, -1)
        return blocks[::-1].reshape(size, -1)

    queue = ours(unit(case["in|queue0"]), 0).astype("float32")
    for step in range(len(case["out|loss"])):
        keys = unit(case["in|k"][step]).astype("float32")

        def loss(queries, keys=keys, queue=queue):
            from kptk.training.tensors import unit_length

            tensors = (keras.ops.convert_to_tensor(value) for value in (keys, queue))
            return queue_contrast(unit_length(queries), *tensors, temperature)

        value, (gradient,) = value_and_gradients(loss, case["in|q"][step])
        assert value == pytest.approx(float(case["out|loss"][step]), rel=2e-4)
        np.testing.assert_allclose(gradient, case["out|grad_q"][step], rtol=2e-3, atol=1e-5)
        queue = array(enqueue(keras.ops.convert_to_tensor(queue), keras.ops.convert_to_tensor(keys)))
        wanted = ours(case["out|queue_after"][step], int(case["out|ptr_after"][step]))
        np.testing.assert_allclose(queue, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("count", "wanted"), [(1, [9, 0, 1, 2]), (3, [9, 9, 9, 0]), (4, [9] * 4), (7, [9] * 4)])
def test_any_number_of_keys_fits_the_queue(count, wanted) -> None:
    queue = np.repeat(np.arange(4.0, dtype="float32")[:, None], 2, axis=1)
    keys = np.full((count, 2), 9.0, dtype="float32")
    got = array(enqueue(keras.ops.convert_to_tensor(queue), keras.ops.convert_to_tensor(keys)))
    assert got[:, 0].tolist() == wanted


def test_momentum_schedule_equals_another_program() -> None:
    """They reach the end at step N - 1, and so does a clock of N - 1 steps."""
    from kptk.training.clock import Clock

    case = oracle("cosine_schedule")
    clock = Clock()
    clock.set_total(case["params"]["max_steps"] - 1)
    for step, wanted in zip(case["in|step"], case["out|value"], strict=True):
        clock.step.assign(float(step))
        got = float(array(clock.cosine(case["params"]["start_value"], case["params"]["end_value"])))
        assert got == pytest.approx(float(wanted), abs=2e-7)


def test_losses_are_at_chance_where_vectors_say_nothing() -> None:
    queries, keys = unit(RNG.normal(size=(2, 64, 4096)))
    queue = unit(RNG.normal(size=(256, 4096)))
    v2, _ = value_and_gradients(lambda q, k, c: queue_contrast(q, k, c, 1.0), queries, keys, queue)
    v3, _ = value_and_gradients(lambda q, k: batch_contrast(q, k, 1.0) + batch_contrast(k, q, 1.0), queries, keys)
    assert v2 == pytest.approx(model("momentum", queue_size=256).chance_loss(64), rel=1e-2)
    assert v3 == pytest.approx(model("moco_v3", temperature=1.0).chance_loss(64), rel=1e-2)


def model(name: str, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(x))
    backbone = keras.Model(inputs, keras.layers.Dense(12)(x), name="tiny")
    views = kptk.preprocessor("image_views", seed=1, crop=0.5, noise=0.1)
    return kptk.objective(name, backbone=backbone, views=views, hidden_dim=16, projection_dim=8, **options)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 8, 8, 1)).astype("uint8")


def compiled(name: str, **options):
    made = model(name, **options)
    made.compile(optimizer=keras.optimizers.Adam(0.01))
    made.optimizer.build(made.trainable_variables)
    made.set_total_steps(4)
    return made


def train(made, x: np.ndarray) -> None:
    made.fit(x, batch_size=8, epochs=1, shuffle=False, verbose=0)
    backend.sync_state(made)


def test_each_step_sees_the_queue_of_the_steps_before() -> None:
    made = compiled("momentum", queue_size=12, momentum=0.5)
    queue = array(made.queue)
    np.testing.assert_allclose(np.linalg.norm(queue, axis=1), 1, rtol=1e-5)
    outputs = made(images(8), training=True)
    loss = float(array(made.compute_loss(y_pred=outputs, training=True)))
    queries, keys = array(outputs["embeddings"]), array(outputs["keys"])
    assert loss == pytest.approx(reference_v2(queries, keys, queue, 0.2), rel=1e-4)
    np.testing.assert_allclose(array(made.queue), np.concatenate([keys, queue[:4]]), rtol=1e-6)
    before = array(made.queue)
    made.compute_loss(y_pred=made(images(8), training=False), training=False)
    np.testing.assert_array_equal(array(made.queue), before)  # looking is not training


def test_a_last_batch_that_is_shorter_enters_the_queue_too() -> None:
    made = compiled("momentum", queue_size=12)
    queue = array(made.queue)
    train(made, images(11))
    np.testing.assert_array_equal(array(made.queue)[11:], queue[:1])


@pytest.mark.parametrize("name", ["momentum", "moco_v3"])
def test_teacher_moves_towards_the_student_by_the_schedule(name) -> None:
    made = compiled(name, momentum=0.5)
    own, student = (part.layers[1].kernel for part in (made.teacher.networks[0], made.backbone))
    start = array(own)
    student.assign(student.value + 1.0)
    for step in range(4):
        made.update_state({"keys": keras.ops.zeros((1, 8))} if name == "momentum" else {})
        momentum = 0.5 if name == "momentum" else 1 - 0.25 * (1 + math.cos(math.pi * (step + 1) / 4))
        wanted = momentum * array(own) + (1 - momentum) * array(student)
        made(images(2), training=True)
        np.testing.assert_allclose(array(own), wanted, rtol=1e-5)
    assert np.abs(array(own) - start).max() > 0.1


@pytest.mark.parametrize("name", ["momentum", "moco_v3"])
def test_goes_on_bit_for_bit_from_a_checkpoint(name) -> None:
    x = images(32)
    whole = compiled(name)
    train(whole, x[:16])
    state = checkpoint.capture(whole)
    train(whole, x[16:])
    again = compiled(name)
    checkpoint.restore(again, state)
    train(again, x[16:])
    wanted, got = checkpoint.capture(whole), checkpoint.capture(again)
    assert set(wanted) == set(got)
    for key, value in wanted.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@pytest.mark.parametrize("name", ["momentum", "moco_v3"])
def test_state_is_saved_with_the_model(name, tmp_path) -> None:
    made = compiled(name)
    train(made, images(16))
    made.save(tmp_path / "model.keras")
    loaded = kptk.load_model(tmp_path / "model.keras")
    for own, theirs in zip(loaded.weights, made.weights, strict=True):
        np.testing.assert_array_equal(array(own), array(theirs), err_msg=theirs.path)
    assert len(loaded.teacher.weights) == len(made.backbone.weights) + len(made.projector.weights)


@pytest.mark.parametrize("name", ["momentum", "moco_v3"])
def test_a_frozen_layer_stays_frozen_in_the_teacher_too(name) -> None:
    """What the MoCo v3 paper does with the patch projection of a transformer, for any layer."""
    made = model(name)
    made.backbone.layers[1].trainable = False
    before = [array(part.layers[1].kernel) for part in (made.backbone, made.teacher.networks[0])]
    made.compile(optimizer=keras.optimizers.SGD(0.1))
    train(made, images(16))
    for was, part in zip(before, (made.backbone, made.teacher.networks[0]), strict=True):
        np.testing.assert_array_equal(array(part.layers[1].kernel), was)
