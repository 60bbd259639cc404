"""Facts about the views, against Pillow and NumPy where they can say what is right."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk_vision import colour, resample
from kptk_vision.image_views import ImageViews

OFF = {"crop": 1.0, "flip": 0.0, "jitter": 0.0, "grey": 0.0}


def photo(height: int = 24, width: int = 32, count: int = 4) -> np.ndarray:
    """Smooth colour pictures with edges."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 6, 8, 3)).astype("uint8")
    return np.stack([np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.BICUBIC)) for x in small])


def array(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def test_everything_off_is_the_plain_image() -> None:
    images = photo()
    views = ImageViews(**OFF)
    for view in views(images):
        np.testing.assert_allclose(array(view), images / 255, atol=1e-6)
    np.testing.assert_allclose(array(views.plain(images)), images / 255, atol=1e-6)


def test_floats_are_taken_as_they_are() -> None:
    images = (photo() / 255).astype("float32")
    np.testing.assert_allclose(array(ImageViews(**OFF).plain(images)), images, atol=1e-6)


def test_two_views_differ_and_stay_in_range() -> None:
    views = ImageViews(seed=1, blur=0.5, solarise=0.2, noise=0.1, rotation=20)
    first, second = (array(view) for view in views(photo()))
    assert np.abs(first - second).mean(axis=(1, 2, 3)).min() > 0.01
    assert first.min() >= 0
    assert first.max() <= 1


def test_examples_of_a_batch_are_changed_differently() -> None:
    images = np.repeat(photo(count=1), 6, axis=0)
    view = array(ImageViews(seed=2)(images)[0])
    distances = np.abs(view[:, None] - view[None]).mean(axis=(2, 3, 4))
    assert distances[~np.eye(6, dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("count", [1, 3, 5])
def test_number_of_views(count) -> None:
    assert len(ImageViews(views=count)(photo())) == count


def test_same_seed_same_views() -> None:
    once, again, other = (array(ImageViews(seed=seed, noise=0.1)(photo())[0]) for seed in (5, 5, 6))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 0.01


def test_flip_is_a_mirror() -> None:
    images = photo()
    flipped = array(ImageViews(**{**OFF, "flip": 1.0})(images)[0])
    np.testing.assert_allclose(flipped, images[:, :, ::-1] / 255, atol=1e-5)


@pytest.mark.parametrize(("target", "box"), [(12, (4, 3, 20, 19)), (40, (2, 2, 18, 22)), (24, (0, 0, 32, 24))])
def test_resampling_equals_pillows_bilinear_filter(target, box) -> None:
    images = photo()
    left, top, right, bottom = box
    rows = resample.box_weights(np.float32([top / 24]), np.float32([(bottom - top) / 24]), 24, target)
    columns = resample.box_weights(np.float32([left / 32]), np.float32([(right - left) / 32]), 32, target)
    got = array(resample.apply(images.astype("float32"), rows, columns))
    for image, ours in zip(images, got, strict=True):
        theirs = Image.fromarray(image).resize((target, target), Image.Resampling.BILINEAR, box=box)
        inner = np.abs(np.asarray(theirs, dtype="float32") - ours)[2:-2, 2:-2]
        assert inner.max() < 1.6  # Pillow rounds to whole numbers twice


def test_random_boxes_have_the_asked_area_and_lie_inside() -> None:
    rng = np.random.default_rng(0)
    draws = [ops.convert_to_tensor(row) for row in rng.random((4, 5000)).astype("float32")]
    top, tall, left, wide = (array(x) for x in resample.random_box(*draws, 0.3))
    assert (tall * wide).min() >= 0.3 * 0.75 - 1e-6
    assert (tall * wide).max() <= 1 + 1e-6
    assert (top + tall).max() <= 1 + 1e-6
    assert (left + wide).max() <= 1 + 1e-6
    assert min(top.min(), left.min()) >= 0


def test_blur_keeps_the_mean_and_takes_out_detail() -> None:
    weights = array(resample.gaussian_weights(np.float32([0.5, 2.0]), 32))
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    checker = np.indices((32, 32)).sum(axis=0)[None, ..., None].astype("float32") % 2
    blurred = array(resample.apply(np.repeat(checker, 2, axis=0), weights, weights))
    assert blurred[1].std() < 0.02 < blurred[0].std() < checker.std()


def test_rotation_by_a_right_angle_is_exact_inside() -> None:
    images = photo(24, 24).astype("float32") / 255
    turned = array(resample.rotate(images, ops.full((len(images),), np.pi / 2)))
    by_hand = [np.rot90(images, turns, axes=(1, 2)) for turns in (1, 3)]
    assert min(np.abs(turned - other)[:, 2:-2, 2:-2].max() for other in by_hand) < 1e-3


def test_grey_takes_out_all_colour_with_pillows_weights() -> None:
    images = photo()
    draw = [ops.full((len(images),), value) for value in (0.9, 0.5, 0.5, 0.5, 0.5, 0.0, 0.5)]
    grey = array(colour.jitter(images.astype("float32") / 255, 0.0, 1.0, draw))
    for image, ours in zip(images, grey, strict=True):
        theirs = np.asarray(Image.fromarray(image).convert("L"), dtype="float32") / 255
        np.testing.assert_allclose(ours, np.repeat(theirs[..., None], 3, axis=-1), atol=0.005)


def test_hue_keeps_luma_and_a_full_turn_changes_nothing() -> None:
    pixels = np.random.default_rng(0).random((3, 3)).astype("float32")
    for turn in (0.3, 2 * np.pi):
        matrix = array(colour._hue(ops.full((1,), turn)))[0]
        np.testing.assert_allclose(
            (pixels @ matrix.T) @ np.float32(colour.LUMA), pixels @ np.float32(colour.LUMA), atol=1e-4
        )
    np.testing.assert_allclose(matrix, np.eye(3), atol=1e-4)


def test_strength_zero_changes_nothing() -> None:
    images = photo().astype("float32") / 255
    draw = [ops.convert_to_tensor(row) for row in np.random.default_rng(0).random((7, len(images))).astype("float32")]
    np.testing.assert_allclose(array(colour.jitter(images, 0.0, 0.0, draw)), images, atol=1e-5)


def test_one_channel_stays_one_channel() -> None:
    images = photo()[..., :1]
    assert array(ImageViews(seed=0)(images)[0]).shape == images.shape


def test_size_resizes_views_and_plain_alike() -> None:
    views = ImageViews(size=16, seed=0)
    assert tuple(views(photo())[0].shape) == (4, 16, 16, 3)
    plain = array(views.plain(photo(32, 32)))
    for image, ours in zip(photo(32, 32), plain, strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BILINEAR), dtype="float32") / 255
        assert np.abs(theirs - ours).max() < 0.008


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((5, 28, 28), "uint8"), r"Add the channel axis: x\[\.\.\., None\]"),
        (np.full((5, 8, 8, 1), 200.0, "float32"), "float images must be 0..1"),
        (np.full((5, 8, 8, 1), np.nan, "float32"), "must be finite"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(images, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        ImageViews().check(images)


def test_local_views_are_the_last_ones_and_have_their_own_size() -> None:
    views = ImageViews(views=5, size=16, local_views=3, local_size=10, seed=0)(photo())
    assert [tuple(view.shape) for view in views] == [(4, 16, 16, 3)] * 2 + [(4, 10, 10, 3)] * 3
    assert {tuple(view.shape) for view in ImageViews(views=5, local_views=3, seed=0)(photo())} == {(4, 24, 32, 3)}


def ramp_areas(view: np.ndarray) -> np.ndarray:
    """Area of the crop of a ramp: red runs along the height, green along the width."""
    inner = view[:, 2:-2, 2:-2]  # the ends of a crop at the border are clipped
    steps = [np.abs(np.diff(inner[..., axis], axis=1 + axis)).mean(axis=(1, 2)) for axis in (0, 1)]
    return steps[0] * steps[1] * view.shape[1] * view.shape[2]


def test_local_crops_show_a_small_part_and_global_ones_at_least_crop() -> None:
    position = (np.arange(64, dtype="float32") + 0.5) / 64
    ramp = np.stack([*np.meshgrid(position, position, indexing="ij"), np.zeros((64, 64), "float32")], axis=-1)
    batch = np.repeat(ramp[None], 400, axis=0)
    options = {**OFF, "crop": 0.5, "flip": 0.5, "local_views": 1, "local_crop": 0.3, "seed": 0}
    large, small = (ramp_areas(array(view)) for view in ImageViews(**options)(batch))
    assert 0.49 < large.min() < 0.55
    assert 0.95 < large.max() < 1.01
    assert 0.049 < small.min() < 0.06
    assert 0.28 < small.max() < 0.301


def test_local_crops_are_made_even_if_cropping_is_off() -> None:
    large, small = (array(view) for view in ImageViews(**OFF, local_views=1, seed=0)(photo()))
    np.testing.assert_allclose(large, photo() / 255, atol=1e-6)
    assert np.abs(small - large).mean() > 0.01


def test_at_least_one_view_must_be_global() -> None:
    with pytest.raises(UsageError, match=r"`local_views` must be fewer than the 2 views.*Received: 2"):
        ImageViews(views=2, local_views=2)
