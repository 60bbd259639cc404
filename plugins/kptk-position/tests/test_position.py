"""Patches are where they are said to be, nothing gives their place away, the loss is the formula's, and it is learned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training import checkpoint
from kptk_position import patches as module
from kptk_position.patches import GREEN_MAGENTA, NEIGHBOURS, cut, drop_colours, places, project_colours
from kptk_position.position import position_loss

pytestmark = pytest.mark.backends


def numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def tensor(array):
    return keras.ops.convert_to_tensor(np.asarray(array, dtype="float32"))


def draws(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (count, 5))


@pytest.mark.parametrize(
    ("patch", "gap", "jitter"), [(0.22, 0.5, 0.07), (0.3, 0.08, 0.07), (0.1, 0.0, 0.0), (0.2, 1.0, 0.0)]
)
def test_all_patches_are_inside_and_lie_as_they_are_said_to(patch, gap, jitter) -> None:
    centre, neighbour, position = map(numpy, places(tensor(draws(4000)), patch, gap, jitter))
    for corner in (centre, neighbour):
        assert corner.min() >= -1e-6 and corner.max() + patch <= 1 + 1e-6
    assert set(position.tolist()) == set(range(8))
    assert np.bincount(position).min() > 400  # 500 each, on the average
    offset = neighbour - centre - patch * (1 + gap) * np.array(NEIGHBOURS)[position]
    assert np.abs(offset).max() <= patch * jitter + 1e-6
    if jitter:
        assert offset.std(axis=0) == pytest.approx(2 * patch * jitter / math.sqrt(12), rel=0.1)
    apart = np.abs(neighbour - centre).max(axis=1) - patch
    assert apart.min() >= patch * (gap - jitter) - 1e-6  # the gap, of which the jitter may take its share


def test_the_place_of_the_first_patch_says_nothing_of_the_second() -> None:
    centre, _, position = map(numpy, places(tensor(draws(8000)), 0.22, 0.5, 0.07))
    means = np.array([centre[position == which].mean(axis=0) for which in range(8)])
    assert np.abs(means - centre.mean(axis=0)).max() < 5 * centre.std() / math.sqrt(1000)


def test_extreme_draws_are_legal_positions() -> None:
    position = numpy(places(tensor([[0.0] * 5, [1.0] * 5, [0.99999] * 5]), 0.22, 0.5, 0.07)[2])
    assert position.tolist() == [0, 7, 7]


def test_each_example_is_cut_at_its_own_place() -> None:
    """Where a patch of whole pixels is cut at its own size, it is those pixels."""
    images = np.random.default_rng(0).uniform(0, 1, (3, 20, 30, 2)).astype("float32")
    corners = [(0.0, 0.0), (0.25, 0.5), (0.8, 0.8)]
    got = numpy(cut(tensor(images), tensor(corners), 0.2, 4, 6))
    for image, patch, (row, column) in zip(images, got, corners, strict=True):
        top, left = round(20 * row), round(30 * column)
        np.testing.assert_allclose(patch, image[top : top + 4, left : left + 6], atol=1e-5)


def test_scaling_a_patch_mixes_in_nothing_from_outside() -> None:
    images = np.zeros((1, 30, 30, 1), "float32")
    images[0, 10:16, 10:16] = 1.0  # one patch of 6 x 6, black around it
    for side in (3, 6, 17, 30):
        got = numpy(cut(tensor(images), tensor([(1 / 3, 1 / 3)]), 0.2, side, side))
        np.testing.assert_allclose(got, 1.0, atol=1e-4)


def test_a_plane_stays_a_plane() -> None:
    """Scaling is linear inside a patch: a slope is cut as the slope of its place."""
    columns = np.arange(40, dtype="float32") + 0.5
    images = np.broadcast_to(columns[None, None, :, None], (1, 40, 40, 1))
    got = numpy(cut(tensor(images), tensor([(0.3, 0.3)]), 0.25, 30, 30))[0, 15, :, 0]
    wanted = 40 * (0.3 + 0.25 * (np.arange(30) + 0.5) / 30)
    inner = slice(2, -2)  # the outermost half pixel is repeated
    np.testing.assert_allclose(got[inner], wanted[inner], rtol=1e-4)


def test_dropping_colours_keeps_one_channel_and_makes_noise_of_the_others() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0, 1, (3, 16, 16, 3))
    noise = rng.normal(size=pictures.shape)
    got = numpy(drop_colours(tensor(pictures), tensor([0.1, 0.5, 1.0]), tensor(noise)))
    for which in range(3):
        kept = pictures[which, ..., which]
        np.testing.assert_allclose(got[which, ..., which], kept, rtol=1e-5)
        for other in {0, 1, 2} - {which}:
            wanted = kept.mean() + 0.01 * kept.std() * noise[which, ..., other]
            np.testing.assert_allclose(got[which, ..., other], wanted, rtol=1e-4)


def test_projecting_colours_is_the_papers_matrix() -> None:
    pictures = np.random.default_rng(0).uniform(0, 1, (2, 4, 4, 3))
    axis = np.array(GREEN_MAGENTA)
    matrix = np.eye(3) - np.outer(axis, axis) / (axis @ axis)
    got = numpy(project_colours(tensor(pictures)))
    np.testing.assert_allclose(got, pictures @ matrix, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got @ axis, 0, atol=1e-5)


def test_loss_equals_the_formula_with_its_gradient() -> None:
    from kptk.testing.gradients import value_and_gradients

    rng = np.random.default_rng(1)
    logits, position = 2 * rng.normal(size=(6, 8)), np.arange(6)
    target = keras.ops.convert_to_tensor(position.astype("int32"))
    value, (gradient,) = value_and_gradients(lambda z: position_loss(z, target), logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(-np.log(probabilities[np.arange(6), position]).mean(), rel=2e-5)
    np.testing.assert_allclose(gradient, (probabilities - np.eye(8)[position]) / 6, rtol=1e-3, atol=1e-6)
    assert value_and_gradients(lambda z: position_loss(z, target), np.ones((6, 8)))[0] == pytest.approx(math.log(8))


def build(side: int = 16, channels: int = 1, **options):
    keras.utils.set_random_seed(0)
    backbone = kptk.backbone("example_cnn", input_shape=(side, side, channels), filters=8, units=32, dropout=0.0)
    model = kptk.objective("position", backbone=backbone, views=None, **options)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    return model


def test_new_model_is_at_chance_and_what_can_be_learned_is_learned() -> None:
    """Pictures whose brightness tells the place (a slope down and one across) are learned far beyond chance."""
    down, across = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 16), indexing="ij")
    images = np.stack([down, across, 0 * down], axis=-1)[None].repeat(64, axis=0).astype("float32")
    images += np.random.default_rng(0).normal(0, 0.02, images.shape).astype("float32")
    model = build(channels=3, colour="keep")
    value = float(numpy(model.objective_loss(model(images), None)))
    assert value == pytest.approx(model.chance_loss(64), rel=0.1)
    accuracy = model.fit(images, batch_size=64, epochs=150, verbose=0).history["accuracy"][-1]
    assert accuracy > 0.5


def test_reported_accuracy_is_the_share_of_right_answers() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (256, 16, 16, 1)).astype("float32")
    accuracy = build().fit(images, batch_size=256, verbose=0).history["accuracy"][0]
    assert accuracy == pytest.approx(1 / 8, abs=0.12)


@pytest.mark.parametrize("colour", ["drop", "project", "keep"])
@pytest.mark.parametrize("channels", [1, 3])
def test_patches_are_pictures_of_the_backbones_size(colour, channels, monkeypatch) -> None:
    seen = []
    model = build(channels=channels, colour=colour)
    monkeypatch.setattr(
        model,
        "encode_views",
        lambda views, training: seen.extend(views) or type(model).encode_views(model, views, training),
    )
    outputs = model(np.random.default_rng(0).uniform(0, 1, (5, 48, 32, channels)).astype("float32"), training=True)
    assert outputs["logits"].shape == (5, 8)
    for view in seen:
        assert view.shape == (5, 16, 16, channels)
        assert numpy(view).min() >= 0 and numpy(view).max() <= 1
    shown = model.pictures((tensor(np.random.default_rng(1).uniform(0, 1, (2, 48, 32, channels))),))
    assert {name: tuple(row.shape) for name, row in shown.items()} == dict.fromkeys(
        ("image", "first patch", "second patch"), (2, 48, 32, channels)
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patch": 0.33}, r"three patches .* need 1\.37 .* objective\.patch=0\.24 or less"),
        ({"patch": 0.2, "gap": 2.0}, "three patches"),
        ({"side": 12}, "fewer than 3 pixels"),
        ({"patch": 0.0}, "patch"),
        ({"colour": "sepia"}, "colour"),
    ],
)
def test_what_cannot_be_cut_is_refused(options, said) -> None:
    with pytest.raises(UsageError, match=said):
        build(**options)


def test_backbones_without_an_image_size_are_refused() -> None:
    free = keras.Sequential([keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D()])
    table = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])
    for backbone in (free, table):
        with pytest.raises(UsageError, match="must take images of one size"):
            kptk.objective("position", backbone=backbone, views=None)


def test_stopped_and_resumed_ends_bit_for_bit_the_same() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (64, 16, 16, 1)).astype("float32")

    def train(model, steps) -> None:
        for step in steps:
            model.train_on_batch(images[16 * step : 16 * step + 16])

    whole = build()
    train(whole, range(2))
    state = checkpoint.capture(whole)
    train(whole, range(2, 4))
    resumed = build()
    resumed.optimizer.build(resumed.trainable_variables)
    checkpoint.restore(resumed, state)
    train(resumed, range(2, 4))
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(numpy(a.value), numpy(b.value), err_msg=a.path)


def test_the_eight_neighbours_are_all_but_the_centre() -> None:
    assert len(set(module.NEIGHBOURS)) == 8
    assert (0, 0) not in module.NEIGHBOURS
