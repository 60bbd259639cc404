"""SimMIM against a NumPy reference written from the paper, on each kind of backbone."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training import checkpoint
from kptk_masked import simmim
from kptk_masked.maps import last_map

pytestmark = pytest.mark.backends
numpy = keras.ops.convert_to_numpy


def test_loss_and_gradient_equal_the_formula() -> None:
    rng = np.random.default_rng(0)
    prediction, images = rng.normal(size=(2, 2, 4, 5, 3))
    mask = (rng.random((2, 4, 5, 1)) < 0.5).astype("float32")
    value, (gradient,) = value_and_gradients(
        lambda p: simmim.masked_absolute_error(p, images.astype("float32"), mask), prediction
    )
    hidden = np.broadcast_to(mask, images.shape) == 1
    assert value == pytest.approx(np.abs(prediction - images)[hidden].mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, np.sign(prediction - images) * hidden / hidden.sum(), rtol=1e-5)


def test_squared_error_and_gradient_equal_the_formula() -> None:
    rng = np.random.default_rng(1)
    prediction, images = rng.normal(size=(2, 2, 4, 5, 3))
    mask = (rng.random((2, 4, 5, 1)) < 0.5).astype("float32")
    value, (gradient,) = value_and_gradients(
        lambda p: simmim.masked_squared_error(p, images.astype("float32"), mask), prediction
    )
    hidden = np.broadcast_to(mask, images.shape) == 1
    assert value == pytest.approx(np.square(prediction - images)[hidden].mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, 2 * (prediction - images) * hidden / hidden.sum(), rtol=1e-4, atol=1e-7)


def test_of_constants_background_is_best_for_the_absolute_error_and_the_mean_for_the_squared_one() -> None:
    dark = (np.random.default_rng(0).random((8, 6, 6, 1)) < 0.2).astype("float32")  # a fifth of the pixels is white
    mask = np.ones((8, 6, 6, 1), "float32")
    levels = np.linspace(0, 1, 21)
    best = {}
    for formula in (simmim.masked_absolute_error, simmim.masked_squared_error):
        losses = [float(numpy(formula(np.full_like(dark, level), dark, mask))) for level in levels]
        best[formula.__name__] = levels[int(np.argmin(losses))]
    assert best["masked_absolute_error"] == 0
    assert best["masked_squared_error"] == pytest.approx(dark.mean(), abs=0.03)


def test_norm_is_what_the_model_applies() -> None:
    outputs = {
        "prediction": np.full((1, 2, 2, 1), 0.5),
        "target": np.zeros((1, 2, 2, 1)),
        "mask": np.ones((1, 2, 2, 1)),
    }
    losses = {n: float(numpy(build("vector", norm=n).objective_loss(outputs, None))) for n in ("l1", "l2")}
    assert losses == pytest.approx({"l1": 0.5, "l2": 0.25})


@pytest.mark.parametrize(
    ("side", "unit", "square"), [(224, 16, 32), (224, 4, 32), (96, 4, 12), (28, 4, 4), (32, 4, 4), (8, 1, 1), (8, 4, 4)]
)
def test_squares_are_about_a_seventh_of_the_image(side, unit, square) -> None:
    assert simmim.square_side(side, unit) == square


BACKBONES = {
    "patches": ("vit_tiny", {"depth": 1, "width": 16, "heads": 2}),
    "class token": ("vit_tiny", {"depth": 1, "width": 16, "heads": 2, "pool": "cls"}),
    "map": ("resnet18", {"width": 4}),
    "vector": ("example_cnn", {"filters": 4, "units": 16}),
}


def build(kind: str, *, side: int = 16, seed: int = 0, **options):
    keras.utils.set_random_seed(seed)
    name, settings = BACKBONES[kind]
    return kptk.objective("simmim", backbone=kptk.backbone(name, input_shape=(side, side, 1), **settings), **options)


def images(count: int = 4, side: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, side, side, 1)).astype("float32")


@pytest.fixture(scope="module", params=list(BACKBONES))
def model(request):
    return build(request.param)


def test_hidden_pixels_change_nothing_that_is_predicted(model) -> None:
    mask = numpy(model.draw_mask(4, seed=1))
    assert mask.shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), 160)  # 10 of 16 squares of 4 x 4
    wanted = numpy(model.predict_images(images(), mask, False))
    assert wanted.shape == (4, 16, 16, 1)
    np.testing.assert_allclose(numpy(model.predict_images(images() * (1 - mask), mask, False)), wanted, atol=1e-6)
    assert np.abs(numpy(model.predict_images(images() * mask, mask, False)) - wanted).max() > 1e-5, "visible pixels do"


def test_pictures_show_the_original_where_it_was_visible(model) -> None:
    rows = {name: numpy(row) for name, row in model.pictures((images(),)).items()}
    assert list(rows) == ["original", "hidden", "filled in"]
    visible = rows["hidden"] != 0.5
    assert visible.mean() == pytest.approx(1 - 160 / 256, abs=0.01)
    np.testing.assert_array_equal(rows["filled in"][visible], images()[visible])


@pytest.mark.parametrize("kind", ["patches", "vector"])
def test_resumed_training_is_bit_for_bit_the_same(kind) -> None:
    def compiled(seed):
        new = build(kind, seed=seed)
        new.compile(optimizer=keras.optimizers.AdamW(1e-3))
        new.optimizer.build(new.trainable_variables)
        return new

    def train(new, steps):
        for step in steps:
            new.fit(images(8, seed=step), batch_size=8, epochs=1, verbose=0, shuffle=False)

    whole, resumed = compiled(0), compiled(1)
    train(whole, [0])
    state = checkpoint.capture(whole)
    train(whole, [1])
    checkpoint.restore(resumed, state)
    train(resumed, [1])
    for wanted, got in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(numpy(got), numpy(wanted), err_msg=wanted.path)


def test_a_map_is_found_behind_pooling_and_not_behind_weights() -> None:
    resnet = kptk.backbone("resnet18", input_shape=(28, 28, 1), width=4)
    found = last_map(resnet)
    assert found.output_shape == (None, 4, 4, 32)
    assert {id(v) for v in found.variables} == {id(v) for v in resnet.variables}
    assert last_map(kptk.backbone("example_cnn", input_shape=(28, 28, 1))) is None

    class Own(keras.Model):
        def call(self, inputs):
            return inputs[:, 0, 0]

    assert last_map(Own()) is None


@pytest.mark.parametrize("side", [28, 30, 33])
def test_sizes_that_do_not_divide_are_cut_at_the_edge(side) -> None:
    model = build("map", side=side)
    outputs = model(images(2, side))
    assert tuple(outputs["prediction"].shape) == (2, side, side, 1)
    assert np.isfinite(float(model.objective_loss(outputs, None)))


def test_the_map_predicts_the_pixels_of_its_own_place() -> None:
    inputs = keras.Input((8, 8, 1))
    pooled = keras.layers.AveragePooling2D(4, name="quarters")(keras.layers.Conv2D(1, 1, name="copy")(inputs))
    model = kptk.objective("simmim", backbone=keras.Model(inputs, keras.layers.Flatten()(pooled)), mask_size=4)
    model.backbone.get_layer("copy").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    model.to_pixels.set_weights([np.arange(16.0).reshape(1, 16), np.zeros(16)])
    quarters = (
        np.repeat(np.repeat(np.array([[1.0, 2.0], [3.0, 4.0]]), 4, 0), 4, 1).reshape(1, 8, 8, 1).astype("float32")
    )
    predicted = numpy(model.predict_images(quarters, np.zeros((1, 8, 8, 1), "float32"), False))
    block = np.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(predicted[0, ..., 0], np.block([[block, 2 * block], [3 * block, 4 * block]]))


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("patches", {"mask_size": 6}, "a multiple of the patch, 4 pixels. Received: 6"),
        ("map", {"mask_size": 16}, "smaller than the image. Received: 16"),
        ("vector", {"mask_ratio": 0.0}, "`mask_ratio` must be a number above 0"),
    ],
)
def test_wrong_options_are_refused(kind, options, sentence) -> None:
    with pytest.raises(kptk.UsageError, match=sentence):
        build(kind, **options)
