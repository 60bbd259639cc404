"""The models around the losses: chance, state, resume, views of several sizes, health."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training import checkpoint
from kptk.training.health import HealthCallback, judge
from kptk.training.receipt import checksum

pytestmark = pytest.mark.backends
NAMES = ("byol", "simsiam", "barlow_twins", "vicreg", "dino")
SMALL = {
    "byol": {"hidden_dim": 16, "projection_dim": 8},
    "simsiam": {"hidden_dim": 16, "projection_dim": 8, "predictor_dim": 4},
    "barlow_twins": {"hidden_dim": 16, "projection_dim": 8},
    "vicreg": {"hidden_dim": 16, "projection_dim": 8},
    "dino": {"hidden_dim": 16, "bottleneck_dim": 8, "prototypes": 12},
}


def array(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))


def images(count: int) -> np.ndarray:
    """Coarse patterns, so that features of a tiny network differ."""
    corners = np.random.default_rng(5).integers(0, 256, (count, 2, 2, 1)).astype("uint8")
    return corners.repeat(4, axis=1).repeat(4, axis=2)


def model(name: str, views: int = 2, side: int | None = 8, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((side, side, 1))
    x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x) if side else keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.1)(x)
    backbone = keras.Model(inputs, keras.layers.Dense(12)(x), name="tiny")
    made = kptk.preprocessor("image_views", views=views, seed=1, crop=0.5, noise=0.1)
    return kptk.objective(name, backbone=backbone, views=made, **SMALL[name], **options)


def compiled(name: str, rate: float = 0.01, **options):
    made = model(name, **options)
    made.compile(optimizer=keras.optimizers.Adam(rate))
    made.optimizer.build(made.trainable_variables)
    made.set_total_steps(4)
    return made


def train(made, x: np.ndarray, epochs: int = 1, callbacks=()) -> list[float]:
    history = made.fit(x, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))
    backend.sync_state(made)
    return history.history["loss"]


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", ["byol", "dino"])
def test_teachers_and_centres_are_saved_with_the_model(name, tmp_path) -> None:
    made = compiled(name)
    train(made, images(16))
    made.save(tmp_path / "model.keras")
    loaded = kptk.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(made.weights)
    for own, theirs in zip(loaded.weights, made.weights, strict=True):
        np.testing.assert_array_equal(array(own), array(theirs), err_msg=theirs.path)
    assert not any(weight.trainable for weight in loaded.teacher.weights)


def test_chance_is_what_noise_gives() -> None:
    rng = np.random.default_rng(0)

    def loss(made, **outputs) -> float:
        tensors = {name: keras.ops.convert_to_tensor(x.astype("float32")) for name, x in outputs.items()}
        return float(array(made.objective_loss(tensors, None)))

    rows, dim = 256, 4096
    noise = rng.normal(size=(2 * rows, dim))
    assert loss(model("byol"), embeddings=noise, targets=noise[::-1]) == pytest.approx(
        model("byol").chance_loss(rows), abs=0.05
    )
    assert loss(model("simsiam"), predictions=noise, embeddings=noise[::-1]) == pytest.approx(
        model("simsiam").chance_loss(rows), abs=0.05
    )
    barlow = model("barlow_twins")
    barlow.projection_dim = 64
    got = np.mean([loss(barlow, embeddings=rng.normal(size=(2 * rows, 64))) for _ in range(20)])
    assert got == pytest.approx(barlow.chance_loss(rows), rel=0.01)
    dino = model("dino")
    flat = np.zeros((2, rows, 12))
    assert loss(dino, student=flat, teacher=rng.normal(size=flat.shape)) == pytest.approx(
        dino.chance_loss(rows), rel=1e-4
    )


def test_chance_of_vicreg_is_the_least_that_noise_reaches() -> None:
    made = model("vicreg")
    noise = np.random.default_rng(0).normal(size=(2 * 20000, 8)).astype("float32")
    losses = {
        scale: float(array(made.objective_loss({"embeddings": keras.ops.convert_to_tensor(scale * noise)}, None)))
        for scale in (0.05, 0.15, 0.25, 0.35, 1.0)
    }
    assert min(losses, key=losses.get) == 0.25
    assert losses[0.25] == pytest.approx(made.chance_loss(128), rel=0.01)
    assert made.chance_loss(128) == 21.875
    made.invariance_weight = 0.0
    assert made.chance_loss(128) == 0.0


@pytest.mark.parametrize("views", [2, 3, 5])
def test_dino_takes_any_number_of_views_and_its_teacher_two(views) -> None:
    made = compiled("dino", views=views)
    outputs = made(images(8), training=True)
    assert tuple(outputs["student"].shape) == (views, 8, 12)
    assert tuple(outputs["teacher"].shape) == (2, 8, 12)
    assert all(math.isfinite(loss) for loss in train(made, images(16)))


def test_dino_takes_views_of_different_sizes() -> None:
    """Two global views and three smaller ones, in one call."""
    made = model("dino", side=None)
    big, small = images(4).astype("float32") / 255, images(4)[:, 2:7, 2:7].astype("float32") / 255
    together = made.forward_views((big, big[::-1], small, small, small[::-1]), training=False)
    for index, view in enumerate((big, big[::-1], small, small, small[::-1])):
        alone = made.head(made.encode(keras.ops.convert_to_tensor(view.copy())))
        np.testing.assert_allclose(array(together["student"][index]), array(alone), rtol=1e-4, atol=1e-5)


def test_dinos_teacher_warms_up_and_its_centre_moves() -> None:
    made = compiled("dino", warmup=0.5)
    teacher = np.random.default_rng(1).normal(size=(2, 6, 12)).astype("float32")
    student = np.random.default_rng(2).normal(size=(2, 6, 12)).astype("float32")
    outputs = {name: keras.ops.convert_to_tensor(x) for name, x in (("student", student), ("teacher", teacher))}

    def reference(temperature: float, centre: np.ndarray) -> float:
        logits = (teacher - centre) / temperature
        targets = np.exp(logits - logits.max(-1, keepdims=True))
        targets /= targets.sum(-1, keepdims=True)
        scaled = student / 0.1
        logs = scaled - scaled.max(-1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
        return float(np.mean([-(targets[a] * logs[b]).sum(-1).mean() for a, b in ((0, 1), (1, 0))]))

    centre = np.zeros(12)
    for temperature in (0.04, 0.055, 0.07, 0.07):
        loss = float(array(made.objective_loss(outputs, None)))
        assert loss == pytest.approx(reference(temperature, centre), rel=1e-3)
        made.update_state(outputs)
        centre = 0.9 * centre + 0.1 * teacher.mean(axis=(0, 1))
        np.testing.assert_allclose(array(made.centre), centre, rtol=1e-4, atol=1e-6)


def test_prototypes_are_of_unit_length_and_in_full_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made = model("dino")
        outputs = made(images(4), training=True)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(outputs["student"].dtype) == "float32"
    layer = made.head.layers[-1]
    basis = array(layer(np.eye(8, dtype="float32")))
    np.testing.assert_allclose(np.linalg.norm(basis, axis=0), 1, rtol=1e-4)


def verdict(made, losses: list[float], first: float, moved: bool) -> str:
    figures = HealthCallback(images(64))
    figures.set_model(made)
    measured = figures.measure()
    return judge(
        first_loss=first,
        losses=losses,
        chance=made.chance_loss(8),
        spread=measured["feature_spread"],
        rank=measured["effective_rank"],
        moved=moved,
        loss_measures_learning=made.loss_measures_learning,
    ).status


@pytest.mark.parametrize("name", NAMES)
def test_health_tells_a_run_from_no_run_and_from_collapse(name) -> None:
    for rate, wanted in ((0.003, "healthy"), (0.0, "not learning")):
        made = compiled(name, rate)
        before = checksum(made.backbone, trainable_only=True)
        losses = train(made, images(64), epochs=4)
        assert verdict(made, losses, losses[0], checksum(made.backbone, trainable_only=True) != before) == wanted
    made.backbone.layers[-1].kernel.assign(made.backbone.layers[-1].kernel.value * 0)
    made.backbone.layers[-1].bias.assign(made.backbone.layers[-1].bias.value + 1)
    assert verdict(made, losses, losses[0], moved=True) == "collapsed"
