"""`Teacher`: follows the student by a moving average, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend

keras = backend.import_keras()

from kptk.training import checkpoint
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.teacher import Teacher, moving_average

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "ema_oracles.npz"


def array(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))


def make_student(dropout: float = 0.0, **options):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="second")(x), name="student", **options)


def shift(model, by: float = 1.0) -> None:
    model.set_weights([weight + by for weight in model.get_weights()])


@keras.saving.register_keras_serializable(package="test_teacher")
class Following(Pretrainer):
    """The smallest objective with a teacher: the student's projection meets the teacher's."""

    def __init__(self, backbone, views=None, momentum: float = 0.9, **kwargs) -> None:
        super().__init__(backbone, views, **kwargs)
        self.momentum = momentum
        self.projector = mlp((5, 3), self.feature_dim, batch_norm=True, name="projector")
        self.predictor = mlp((3,), 3, batch_norm=False, name="predictor")
        self.teacher = Teacher(backbone, self.projector)

    def forward_views(self, views, training):
        if training:
            self.teacher.follow(self.momentum)
        mine = self.predictor(self.projector(self.encode(views[0], training), training=training))
        return {"student": mine, "teacher": self.teacher(views[0], training=training)}

    def objective_loss(self, outputs, labels):
        student, teacher = (keras.ops.cast(outputs[name], "float32") for name in ("student", "teacher"))
        return keras.ops.mean(keras.ops.square(student - teacher))

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


def inputs(count: int = 32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 6)).astype("float32")


def fitted(steps: int = 1, rate: float = 0.1, **options):
    model = Following(make_student(), **options)
    model.compile(optimizer=keras.optimizers.SGD(rate))
    model.fit(np.concatenate([inputs()] * steps), batch_size=32, epochs=1, shuffle=False, verbose=0)
    return model


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_moves_as_other_programs_do(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        given = {key.partition("|")[2]: arrays[key] for key in arrays.files if key.partition("|")[0] == case["id"]}
    student = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    student.set_weights([given["in|ema_w"].T, given["in|ema_b"]])
    teacher = Teacher(student)
    student.set_weights([given["in|online_w"].T, given["in|online_b"]])
    for _ in range(case["params"]["steps"]):
        teacher.follow(case["params"]["m"])
    kernel, bias = (array(weight) for weight in teacher.networks[0].weights)
    np.testing.assert_allclose(kernel, given["out|ema_w"].T, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(bias, given["out|ema_b"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("momentum", "wanted"), [(0.0, 5.0), (1.0, 1.0), (0.75, 2.0)])
def test_the_formula(momentum, wanted) -> None:
    got = moving_average(np.float32([1.0]), np.float32([5.0]), momentum)
    assert array(got) == pytest.approx([wanted])


def test_starts_as_an_exact_copy_under_names_of_its_own() -> None:
    student = make_student()
    shift(student, 0.25)
    teacher = Teacher(student)
    for own, theirs in zip(teacher.weights, student.weights, strict=True):
        np.testing.assert_array_equal(array(own), array(theirs))
    assert not {weight.path for weight in teacher.weights} & {weight.path for weight in student.weights}
    assert not {id(weight) for weight in teacher.variables} & {id(weight) for weight in student.variables}
    shift(student)
    assert array(teacher.weights[0]) == pytest.approx(array(student.weights[0]) - 1, abs=1e-6)


def test_equal_weights_stay_equal_for_ever() -> None:
    student = make_student()
    teacher = Teacher(student)
    for _ in range(50):
        teacher.follow(0.999)
    np.testing.assert_array_equal(array(teacher.weights[0]), array(student.weights[0]))


def test_batch_statistics_and_random_states_are_not_followed() -> None:
    student = make_student(dropout=0.5)
    teacher = Teacher(student)
    norm = teacher.networks[0].get_layer("norm")
    before = array(norm.moving_mean), array(norm.moving_variance)
    states = [array(v) for v in teacher.variables if "seed" in v.path]
    assert states
    shift(student)
    teacher.follow(0.0)
    np.testing.assert_array_equal(array(norm.moving_mean), before[0])
    np.testing.assert_array_equal(array(norm.moving_variance), before[1])
    for state, variable in zip(states, [v for v in teacher.variables if "seed" in v.path], strict=True):
        np.testing.assert_array_equal(array(variable), state)
    np.testing.assert_array_equal(array(norm.gamma), array(student.get_layer("norm").gamma))


def test_batch_normalisation_uses_the_batch_in_training() -> None:
    teacher = Teacher(make_student())
    x = inputs() * 7 + 3
    got, plain = array(teacher(x, training=True)), array(teacher(x, training=False))
    first, norm, second = (teacher.networks[0].get_layer(name) for name in ("first", "norm", "second"))
    hidden = x @ array(first.kernel) + array(first.bias)
    hidden = (hidden - hidden.mean(axis=0)) / np.sqrt(hidden.var(axis=0) + norm.epsilon)
    np.testing.assert_allclose(got, hidden @ array(second.kernel) + array(second.bias), rtol=1e-3, atol=1e-4)
    assert np.abs(got - plain).max() > 0.1
    assert array(norm.moving_mean) != pytest.approx(np.zeros(8))


def toggle_model(model) -> None:
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True


def toggle_layers(model) -> None:
    for value in (False, True):
        for layer in model.layers:
            layer.trainable = value


@pytest.mark.parametrize("toggle", [lambda model: None, toggle_model, toggle_layers])
def test_is_never_trained_whatever_is_toggled(toggle) -> None:
    model = Following(make_student(), momentum=1.0)
    toggle(model)
    inside = {id(weight) for weight in model.teacher.weights}
    assert inside
    assert not inside & {id(weight) for weight in model.trainable_weights}
    assert not any(weight.trainable for weight in model.teacher.weights)
    assert {id(w) for w in model.backbone.trainable_weights} <= {id(w) for w in model.trainable_weights}
    kernel = model.teacher.networks[0].get_layer("first").kernel
    before, mean = array(kernel), array(model.teacher.networks[0].get_layer("norm").moving_mean)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model.fit(inputs(), batch_size=32, verbose=0)
    backend.sync_state(model)
    np.testing.assert_array_equal(array(kernel), before)  # momentum 1: nothing but a gradient could move it
    moved = array(model.teacher.networks[0].get_layer("norm").moving_mean)
    assert np.abs(moved - mean).max() > 0  # and batch statistics are on


def test_no_gradient_reaches_the_student_through_its_teacher() -> None:
    """The moving average must not be a path back: with the prediction held at zero nothing may move."""
    model = Following(make_student(), momentum=0.5)
    model.predictor.set_weights([weight * 0 for weight in model.predictor.get_weights()])
    model.predictor.trainable = False
    before = [array(weight) for weight in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    model.fit(inputs(), batch_size=32, verbose=0)
    backend.sync_state(model)
    for weight, was in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), was)


def test_moves_after_the_optimisers_step_and_before_the_targets() -> None:
    """Step 2 sees the teacher of step 1 moved towards the student as the optimiser left it."""
    after_one = fitted(1, momentum=0.75)
    after_two = fitted(2, momentum=0.75)
    for model in (after_one, after_two):
        backend.sync_state(model)
    own, student = (
        array(part.get_layer("first").kernel) for part in (after_one.teacher.networks[0], after_one.backbone)
    )
    got = array(after_two.teacher.networks[0].get_layer("first").kernel)
    np.testing.assert_allclose(got, 0.75 * own + 0.25 * student, rtol=1e-5, atol=1e-6)
    assert np.abs(own - student).max() > 1e-4


def test_is_saved_with_the_model_and_loads(tmp_path) -> None:
    model = fitted(3)
    backend.sync_state(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(model.weights)
    for own, theirs in zip(loaded.teacher.weights, model.teacher.weights, strict=True):
        np.testing.assert_array_equal(array(own), array(theirs))
    kernels = [array(part.get_layer("first").kernel) for part in (loaded.teacher.networks[0], loaded.backbone)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4  # a teacher of its own, not a fresh copy of the student
    assert not any(weight.trainable for weight in loaded.teacher.weights)
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    loaded.fit(inputs(), batch_size=32, verbose=0)


def test_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    x = np.concatenate([inputs()] * 2)

    def fit(model) -> None:
        model.fit(x, batch_size=32, epochs=1, shuffle=False, verbose=0)

    whole = Following(make_student(dropout=0.3))
    whole.compile(optimizer=keras.optimizers.Adam(0.01))
    fit(whole)
    state = checkpoint.capture(whole)
    fit(whole)
    again = Following(make_student(dropout=0.3))
    again.compile(optimizer=keras.optimizers.Adam(0.01))
    again.optimizer.build(again.trainable_variables)
    checkpoint.restore(again, state)
    fit(again)
    wanted, got = checkpoint.capture(whole), checkpoint.capture(again)
    assert set(wanted) == set(got)
    for key, value in wanted.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_small_steps_survive_mixed_precision(policy) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = Following(make_student(), momentum=0.9999)
        shift(model.backbone, 0.5)
        kernel = model.teacher.networks[0].get_layer("first").kernel
        assert keras.backend.standardize_dtype(kernel.dtype) == "float32"
        was = array(kernel)
        model(inputs(), training=True)  # under autocast, as in `fit`
        np.testing.assert_allclose(array(kernel) - was, 0.5e-4, rtol=1e-2)
    finally:
        keras.config.set_dtype_policy(before)


def test_a_layer_frozen_at_first_is_followed_once_it_learns() -> None:
    student = make_student()
    student.trainable = False
    teacher = Teacher(student)
    student.trainable = True
    shift(student)
    teacher.follow(0.0)
    np.testing.assert_allclose(array(teacher.weights[0]), array(student.weights[0]), rtol=1e-6)


def test_maps_and_sequences_are_averaged_before_the_heads() -> None:
    backbone = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(5, 3)])
    teacher = Teacher(backbone, mlp((2,), 5, batch_norm=False, name="head"))
    assert tuple(teacher(np.zeros((3, 8, 8, 1), "float32")).shape) == (3, 2)


class Forgetful(keras.Model):
    """A model whose configuration leaves out what it was made with."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(width)
        self.dense.build((None, 4))
        self.built = True

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {}


class Demanding(Forgetful):
    """One that cannot be made without it."""

    def __init__(self, width: int) -> None:
        super().__init__(width)


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    assert len(Teacher(Forgetful()).weights) == 2
    with pytest.raises(UsageError, match=r"cannot be copied for a teacher.*get_config"):
        Teacher(Forgetful(7))
    with pytest.raises(UsageError, match=r"cannot be copied for a teacher.*TypeError"):
        Teacher(Demanding(7))
