"""MAE against a NumPy reference written from the paper, another program's numbers, and what it must not see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training import checkpoint
from kptk.training.patches import patchify, stages
from kptk_masked import mae
from kptk_masked.masking import random_masking

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "mae_oracles.npz"
numpy = keras.ops.convert_to_numpy


def reference(prediction: np.ndarray, patches: np.ndarray, mask: np.ndarray, *, norm_pix: bool) -> float:
    """Section 3 of the paper, patch by patch."""
    errors = []
    for image, row in zip(*np.nonzero(mask), strict=True):
        target = patches[image, row].astype(np.float64)
        if norm_pix:
            target = (target - target.mean()) / np.sqrt(target.var(ddof=1) + 1e-6)
        errors.append(((prediction[image, row] - target) ** 2).mean())
    return float(np.mean(errors))


def ours(prediction: np.ndarray, patches: np.ndarray, mask: np.ndarray, *, norm_pix: bool) -> tuple[float, np.ndarray]:
    patches, mask = patches.astype("float32"), mask.astype("float32")

    def loss(predicted):
        target = mae.normalised(keras.ops.convert_to_tensor(patches)) if norm_pix else patches
        return mae.masked_mean_squared_error(predicted, target, mask)

    value, (gradient,) = value_and_gradients(loss, prediction)
    return value, gradient


@pytest.mark.parametrize("norm_pix", [False, True])
def test_loss_and_gradient_equal_the_formula(norm_pix) -> None:
    rng = np.random.default_rng(0)
    prediction, patches = rng.normal(size=(3, 5, 6)), rng.random((3, 5, 6))
    mask = np.array([[1, 0, 1, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]])
    value, gradient = ours(prediction, patches, mask, norm_pix=norm_pix)
    assert value == pytest.approx(reference(prediction, patches, mask, norm_pix=norm_pix), rel=1e-5)
    np.testing.assert_array_equal(gradient[mask == 0], 0.0)
    for index in [(0, 0, 0), (0, 2, 5), (1, 3, 2), (2, 4, 1)]:
        step = np.zeros_like(prediction)
        step[index] = 1e-5
        up, down = (reference(prediction + sign * step, patches, mask, norm_pix=norm_pix) for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-6)


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_equals_another_program(case) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        inputs = {name: arrays[f"{case['id']}|in|{name}"] for name in case["inputs"]}
        wanted = {name: arrays[f"{case['id']}|out|{name}"] for name in case["outputs"]}
    options = case["params"]
    images = inputs["pixels_nchw"].transpose(0, 2, 3, 1).astype("float32")
    patches = numpy(patchify(images, options["patch_size"]))
    np.testing.assert_allclose(patches, wanted["patches"], rtol=1e-6)
    visible = mae.visible_count(patches.shape[1], options["mask_ratio"])
    masking = random_masking(inputs["noise"].astype("float32"), visible)
    np.testing.assert_array_equal(numpy(masking.mask), wanted["mask"])
    np.testing.assert_array_equal(numpy(masking.restore), wanted["ids_restore"])
    value, _ = ours(inputs["pred"], patches, wanted["mask"], norm_pix=options["norm_pix_loss"])
    assert value == pytest.approx(float(wanted["loss"]), rel=2e-5)


def test_plain_patches_have_a_finite_target() -> None:
    np.testing.assert_array_equal(numpy(mae.normalised(np.full((1, 2, 4), 0.7, "float32"))), 0.0)


def build(*, pool: str = "average", seed: int = 0, **options):
    keras.utils.set_random_seed(seed)
    backbone = kptk.backbone("vit_tiny", input_shape=(16, 16, 1), depth=1, width=16, heads=2, pool=pool)
    options = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2} | options
    return kptk.objective("masked", backbone=backbone, **options)


@pytest.fixture(scope="module", params=["average", "cls"])
def model(request):
    return build(pool=request.param)


def images(count: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 16, 16, 1)).astype("float32")


def test_the_encoder_gets_the_visible_tokens_only(model) -> None:
    found = stages(model.backbone)
    masking = model.draw_masking(4, seed=1)
    encoded = model.encode_visible(patchify(images(), found.patch), masking, False)
    assert model.visible == 4
    assert tuple(encoded.shape) == (4, found.leading + 4, 16)


def test_hidden_pixels_change_nothing_that_is_predicted(model) -> None:
    found = stages(model.backbone)
    patches = numpy(patchify(images(), found.patch))
    masking = model.draw_masking(4, seed=1)
    mask = numpy(masking.mask)[..., None]

    def predict(seen):
        return numpy(model.decode(model.encode_visible(seen, masking, False), masking, False))

    wanted = predict(patches)
    np.testing.assert_array_equal(predict(patches * (1 - mask)), wanted)
    assert np.abs(predict(patches * mask) - wanted).max() > 1e-4, "visible pixels do"


def test_predictions_stand_in_their_places() -> None:
    """With attention switched off no token can know of another: a visible patch changes its own prediction only."""
    model = build()
    found = stages(model.backbone)
    for stack in (found.encoder, model.decoder):
        for layer in stack.layers:
            if isinstance(layer, keras.layers.MultiHeadAttention):
                layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    masking = model.draw_masking(1, seed=2)
    patches = numpy(patchify(images(1), found.patch))
    wanted = numpy(model.decode(model.encode_visible(patches, masking, False), masking, False))
    for place in numpy(masking.keep)[0]:
        changed = patches.copy()
        changed[0, place] += 1.0
        got = numpy(model.decode(model.encode_visible(changed, masking, False), masking, False))
        np.testing.assert_array_equal(np.flatnonzero(np.abs(got - wanted).max(axis=-1)[0] > 1e-6), [place])


def test_two_steps_hide_different_patches_and_a_third_of_the_same_seed_the_same() -> None:
    first, second = build(), build()
    masks = [numpy(first(images())["mask"]) for _ in range(2)]
    assert not np.array_equal(*masks)
    np.testing.assert_array_equal(numpy(second(images())["mask"]), masks[0])


def test_loss_at_initialisation_is_near_that_of_predicting_nothing() -> None:
    model = build()
    outputs = model(images(64))
    value = float(model.objective_loss(outputs, None))
    nothing = reference(np.zeros((64, 16, 16)), numpy(outputs["target"]), numpy(outputs["mask"]), norm_pix=False)
    assert nothing == pytest.approx(15 / 16, rel=1e-3)
    assert nothing < value < 4 * nothing


def test_explained_is_logged_and_the_backbone_alone_is_kept() -> None:
    model = build(norm_pix=False)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3))
    history = model.fit(images(16), batch_size=8, epochs=2, verbose=0)
    assert len(history.history["explained"]) == 2
    assert max(history.history["explained"]) <= 1.0
    inside = {id(variable) for variable in model.backbone.variables}
    own = [v for layer in (model.decoder, model.to_decoder, model.to_pixels) for v in layer.variables]
    assert own
    assert not inside & {id(variable) for variable in own}


def test_pictures_show_the_original_where_it_was_visible(model) -> None:
    rows = {name: numpy(row) for name, row in model.pictures((images(),)).items()}
    assert list(rows) == ["original", "hidden", "filled in"]
    np.testing.assert_array_equal(rows["original"], images())
    visible = rows["hidden"] != 0.5
    assert visible.mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(rows["filled in"][visible], images()[visible])
    again = model.pictures((images(),))
    np.testing.assert_array_equal(numpy(again["filled in"]), rows["filled in"])


def test_resumed_training_is_bit_for_bit_the_same() -> None:
    def train(model, steps):
        for step in steps:
            model.fit(images(8, seed=step), batch_size=8, epochs=1, verbose=0, shuffle=False)

    def compiled(seed):
        model = build(seed=seed)
        model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        model.optimizer.build(model.trainable_variables)
        return model

    whole = compiled(0)
    train(whole, [0, 1])
    state = checkpoint.capture(whole)
    train(whole, [2, 3])
    resumed = compiled(1)
    checkpoint.restore(resumed, state)
    train(resumed, [2, 3])
    for wanted, got in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(numpy(got), numpy(wanted), err_msg=wanted.path)
    assert any(v.name.endswith("seed_generator_state") for v in whole.variables)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask_ratio": 1.0}, "`mask_ratio` must be a number above 0 and at most 0.99"),
        ({"decoder_width": 18}, "`decoder_width` must be a multiple of 4"),
        ({"decoder_width": 20, "decoder_heads": 3}, "the 3 heads"),
    ],
)
def test_wrong_options_are_refused(options, sentence) -> None:
    with pytest.raises(kptk.UsageError, match=sentence):
        build(**options)


def test_a_backbone_without_patches_is_refused() -> None:
    backbone = kptk.backbone("example_cnn", input_shape=(16, 16, 1))
    with pytest.raises(kptk.UsageError, match=r"`backbone` must work on patches.*vit_tiny"):
        kptk.objective("masked", backbone=backbone)


def test_a_single_patch_is_refused() -> None:
    backbone = kptk.backbone("vit_tiny", input_shape=(8, 8, 1), patch=8, depth=1, width=16, heads=2)
    with pytest.raises(kptk.UsageError, match="at least 2 patches"):
        kptk.objective("masked", backbone=backbone)
