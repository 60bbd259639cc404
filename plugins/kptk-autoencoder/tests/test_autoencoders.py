"""Facts about the autoencoders: any backbone, any size, figures, pictures, refusals, state."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

import kptk
from kptk.training import checkpoint
from kptk.training.image_quality import psnr
from kptk_autoencoder.decoder import decoder

NAMES = ("autoencoder", "denoising", "sparse", "variational", "super_resolution")
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 12, 10, 3)).astype("uint8")
SMALL = {"decoder_filters": 2}


def numbers(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def backbone(features: str = "vector") -> keras.Model:
    inputs = keras.Input((12, 10, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)  # (5, 4, 4)
    if features == "vector":
        x = keras.layers.Dense(8)(keras.layers.Flatten()(x))
    if features == "sequence":
        x = keras.layers.Reshape((-1, 4))(x)
    return keras.Model(inputs, x)


def objective(name: str, features: str = "vector", **options):
    keras.utils.set_random_seed(0)
    return kptk.objective(
        name, backbone=backbone(features), **SMALL, **({"k": 3} if name == "sparse" else {}), **options
    )


@pytest.mark.parametrize(
    ("code", "image"),
    [
        *(((5,), image) for image in ((28, 28, 1), (8, 8, 1), (33, 17, 3), (1, 1, 1), (64, 20, 3))),
        *((code, (28, 28, 1)) for code in ((7, 7, 4), (13, 13, 2), (6, 6, 4))),
        *(((5, 4, 2), (12, 10, 3)), ((1, 1, 8), (9, 9, 3)), ((16, 16, 2), (16, 16, 1)), ((20, 20, 2), (16, 16, 1))),
    ],
    ids=str,
)
def test_decoder_gives_any_size_from_any_code(code, image) -> None:
    made = decoder(code, image, filters=2, name="decoder")
    given = np.random.default_rng(0).normal(size=(2, *code)).astype("float32")
    assert tuple(made(given).shape) == (2, *image)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("features", ["map", "sequence"])
def test_any_form_of_features_trains(name: str, features: str) -> None:
    model = objective(name, features)
    model.compile(optimizer="adam", run_eagerly=True)
    history = model.fit(IMAGES, batch_size=8, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    if features == "map":
        assert model.decoder.input_shape[1:3] == (5, 4)  # a convolutional autoencoder keeps the places


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_logged_in_training_and_evaluation(name: str) -> None:
    model = objective(name)
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    history = model.fit(IMAGES, batch_size=8, verbose=0).history
    wanted = {"loss", "psnr", "ssim"} | {"variational": {"kl"}, "denoising": {"psnr_input"}}.get(name, set())
    wanted |= {"psnr_input"} if name == "super_resolution" else set()
    assert set(history) == wanted
    assert set(model.evaluate(IMAGES, verbose=0, return_dict=True)) == wanted
    if name in ("autoencoder", "sparse", "super_resolution"):  # nothing random: the figure can be computed by hand
        outputs = model(IMAGES)
        made = psnr(outputs["targets"], ops.clip(outputs["raw"], 0, 1))
        assert history["psnr"][0] == pytest.approx(float(numbers(made).mean()), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", ["mse", "cross_entropy"])
def test_pictures_show_what_went_in_and_came_out(name: str, error: str) -> None:
    if (name, error) == ("super_resolution", "cross_entropy"):
        error = "l1"
    model = objective(name, error=error)
    (view,) = model.views(IMAGES[:4])
    state = [numbers(variable).copy() for variable in model.variables]
    first, second = (model.pictures((view,)) for _ in range(2))
    rows = {
        "autoencoder": ["input", "reconstruction"],
        "sparse": ["input", "reconstruction"],
        "denoising": ["input", "corrupted", "reconstruction"],
        "super_resolution": ["input", "low resolution", "reconstruction"],
        "variational": ["input", "reconstruction", "samples of the prior"],
    }[name]
    assert list(first) == rows
    np.testing.assert_array_equal(numbers(first["input"]), numbers(view))
    for row in rows:
        picture = numbers(first[row])
        assert picture.shape == (4, 12, 10, 3)
        assert picture.min() >= 0 and picture.max() <= 1
        np.testing.assert_array_equal(picture, numbers(second[row]))
    # Drawing them moves no random state: a run that draws them ends as one that does not.
    for before, variable in zip(state, model.variables, strict=True):
        np.testing.assert_array_equal(before, numbers(variable))


def test_denoising_compares_with_the_clean_image() -> None:
    model = objective("denoising", noise="salt_pepper", amount=0.5)
    outputs = model(IMAGES, training=True)
    np.testing.assert_allclose(numbers(outputs["targets"]), IMAGES / 255, atol=1e-6)
    changed = (numbers(outputs["inputs"]) != numbers(outputs["targets"])).any(axis=-1)
    assert changed.mean() == pytest.approx(0.5, abs=0.05)
    again = numbers(model(IMAGES, training=True)["inputs"])
    assert not np.array_equal(again, numbers(outputs["inputs"]))  # another draw each time


def test_super_resolution_adds_to_the_coarse_image_if_asked() -> None:
    model = objective("super_resolution", factor=2, residual=True)
    outputs = model(IMAGES)
    added = model.decoder(model.features(outputs["inputs"], False))
    np.testing.assert_allclose(
        numbers(outputs["raw"]), numbers(outputs["inputs"]) + numbers(added), rtol=1e-4, atol=1e-5
    )


def test_variational_bound_is_nll_plus_beta_kl_and_starts_near_the_prior() -> None:
    model = objective("variational", error="mse", stddev=0.5, beta=3.0, latent_dim=4)
    outputs = model(IMAGES, training=True)
    raw, targets, mean, log_variance = (numbers(outputs[k]) for k in ("raw", "targets", "mean", "log_variance"))
    nll = ((raw - targets) ** 2 / 0.5 + 0.5 * np.log(2 * np.pi * 0.25)).reshape(16, -1).sum(axis=1)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    assert float(numbers(model.objective_loss(outputs, None))) == pytest.approx((nll + 3 * kl).mean(), rel=1e-5)
    assert np.abs(log_variance).max() < 1


def test_the_weight_of_the_kl_term_rises_over_a_share_of_the_run() -> None:
    model = objective("variational", beta=2.0, beta_warmup=0.5)
    assert float(numbers(model.kl_weight())) == 2.0  # how long the run will be is not known
    model.clock.set_total(8)
    weights = []
    for _ in range(6):
        weights.append(float(numbers(model.kl_weight())))
        model.update_state({})
    assert weights == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert objective("variational", beta=2.0, beta_warmup=0.0).kl_weight() == 2.0


@pytest.mark.parametrize("name", NAMES)
def test_resumed_steps_are_bit_identical(name: str) -> None:
    """Four steps, or two, a checkpoint put back into a new model, and two more: the same bits."""

    def fresh():
        model = objective(name)
        model.compile(optimizer=keras.optimizers.Adam(1e-2))
        model.optimizer.build(model.trainable_variables)
        return model

    def steps(model, first: int, last: int) -> None:
        for step in range(first, last):
            model.fit(IMAGES[4 * step : 4 * step + 4], batch_size=4, verbose=0, shuffle=False)

    whole, half, resumed = fresh(), fresh(), fresh()
    steps(whole, 0, 4)
    steps(half, 0, 2)
    checkpoint.restore(resumed, checkpoint.capture(half))
    steps(resumed, 2, 4)
    wanted, got = checkpoint.capture(whole), checkpoint.capture(resumed)
    for key in wanted:
        np.testing.assert_array_equal(got[key], wanted[key], err_msg=key)


def test_what_cannot_work_is_refused_with_a_sentence() -> None:
    with pytest.raises(kptk.UsageError, match=r"`k` must be at most the number of features, 8 in .* Received: 9"):
        kptk.objective("sparse", backbone=backbone(), k=9)
    with pytest.raises(kptk.UsageError, match=r"`factor` must be at most the shorter side, 10 pixels. Received: 11"):
        kptk.objective("super_resolution", backbone=backbone(), factor=11)
    with pytest.raises(kptk.UsageError, match=r"`amount` must be a number above 0 and at most 1"):
        kptk.objective("denoising", backbone=backbone(), amount=1.5)
    with pytest.raises(kptk.UsageError, match=r"`error` must be one of 'mse', 'l1'"):
        kptk.objective("super_resolution", backbone=backbone(), error="cross_entropy")
    for shape in ((None, None, 3), (7,)):
        inputs = keras.Input(shape)
        x = keras.layers.GlobalAveragePooling2D()(inputs) if len(shape) == 3 else keras.layers.Dense(2)(inputs)
        with pytest.raises(kptk.UsageError, match=r"`backbone` must take images of one size"):
            kptk.objective("autoencoder", backbone=keras.Model(inputs, x))
    model = kptk.objective("autoencoder", backbone=backbone(), views=None, **SMALL)
    with pytest.raises(kptk.InputError, match=r"reconstructs images of 0..1. Received: uint8"):
        model(ops.convert_to_tensor(IMAGES))
    model.compile(optimizer="sgd", run_eagerly=True)
    assert np.isfinite(model.fit(IMAGES / np.float32(255), batch_size=8, verbose=0).history["loss"][0])


def test_an_autoencoder_learns_to_draw() -> None:
    """On images that differ in two numbers, a code of two numbers is enough."""
    rng = np.random.default_rng(0)
    shades = rng.uniform(0, 1, (64, 2)).astype("float32")
    images = np.repeat(shades[:, None, :, None], 8, axis=1).repeat(4, axis=2)  # left and right half, one shade each
    keras.utils.set_random_seed(0)
    small = kptk.backbone("mlp", input_shape=(8, 8, 1), units=16, depth=1)
    model = kptk.objective("autoencoder", backbone=small, decoder_filters=4)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    history = model.fit(images, batch_size=64, epochs=60, verbose=0).history
    assert history["psnr"][-1] > 25 > 15 > history["psnr"][0]
