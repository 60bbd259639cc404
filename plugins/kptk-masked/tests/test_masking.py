"""What is hidden: exact counts, real permutations, and the pictures' parts in their places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.training import backend

keras = backend.import_keras()

from kptk.training.patches import patchify, sine_positions, unpatchify
from kptk_masked import masking

pytestmark = pytest.mark.backends
numpy = keras.ops.convert_to_numpy


@pytest.mark.parametrize(
    ("count", "ratio", "visible"),
    [
        (196, 0.75, 49),
        (49, 0.75, 12),
        (16, 0.75, 4),
        (10, 0.9, 1),
        (4, 0.75, 1),
        (4, 0.99, 1),
        (4, 0.01, 3),
        (2, 0.5, 1),
    ],
)
def test_visible_count(count, ratio, visible) -> None:
    assert masking.visible_count(count, ratio) == visible


@pytest.mark.parametrize(("count", "visible"), [(49, 12), (16, 4), (2, 1)])
def test_masking_keeps_exactly_as_many_and_restores_the_order(count, visible) -> None:
    noise = np.random.default_rng(0).random((5, count)).astype("float32")
    keep, restore, mask = (numpy(part) for part in masking.random_masking(noise, visible))
    assert keep.shape == (5, visible)
    np.testing.assert_array_equal(mask.sum(axis=1), count - visible)
    for row in range(5):
        order = np.argsort(noise[row])
        assert set(keep[row]) == set(order[:visible])
        np.testing.assert_array_equal(np.flatnonzero(mask[row] == 0), np.sort(keep[row]))
        np.testing.assert_array_equal(order[restore[row]], np.arange(count))
    assert len({tuple(np.sort(row)) for row in keep}) > 1 or count == 2, "each image has a masking of its own"


def test_equal_noise_still_hides_exactly_as_many() -> None:
    mask = numpy(masking.random_masking(np.zeros((3, 9), "float32"), 2).mask)
    np.testing.assert_array_equal(mask.sum(axis=1), 7)


def test_every_patch_is_hidden_equally_often() -> None:
    noise = keras.random.uniform((4000, 8), seed=3)
    share = numpy(masking.random_masking(noise, 2).mask).mean(axis=0)
    np.testing.assert_allclose(share, 0.75, atol=4 * math.sqrt(0.75 * 0.25 / 4000))


def test_taken_tokens_put_in_order_again_are_the_tokens() -> None:
    rng = np.random.default_rng(1)
    tokens = rng.normal(size=(2, 6, 3)).astype("float32")
    whole = masking.random_masking(rng.random((2, 6)).astype("float32"), 6)
    shuffled = masking.take_tokens(tokens, whole.keep)
    np.testing.assert_array_equal(numpy(shuffled)[0, 0], tokens[0, int(numpy(whole.keep)[0, 0])])
    np.testing.assert_array_equal(numpy(masking.take_tokens(shuffled, whole.restore)), tokens)


@pytest.mark.parametrize(
    ("cells", "ratio", "hidden"), [((7, 7), 0.6, 30), ((2, 2), 0.5, 2), ((1, 2), 0.99, 1), ((2, 5), 0.1, 1)]
)
def test_squares_hide_exactly_as_many_cells(cells, ratio, hidden) -> None:
    mask = numpy(masking.random_squares(0, 6, cells, ratio))
    assert mask.shape == (6, *cells)
    assert set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_array_equal(mask.sum(axis=(1, 2)), hidden)


def test_cells_become_squares_and_the_edge_is_cut() -> None:
    mask = numpy(masking.enlarged(np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32"), 3, (5, 4)))[0]
    wanted = np.zeros((5, 4))
    wanted[:3, :3] = 1
    wanted[3:, 3:] = 1
    np.testing.assert_array_equal(mask, wanted)


def test_explained_is_one_for_perfect_and_zero_for_the_mean() -> None:
    rng = np.random.default_rng(2)
    target = rng.normal(size=(3, 4, 5)).astype("float32")
    mask = np.zeros((3, 4, 1), "float32")
    mask[:, 1:3] = 1
    hidden = target[:, 1:3]
    elsewhere = target + 100 * (1 - mask)  # what is visible does not count
    assert float(masking.explained(elsewhere, target, mask)) == pytest.approx(1.0, abs=1e-5)
    assert float(masking.explained(np.full_like(target, hidden.mean()), target, mask)) == pytest.approx(0.0, abs=1e-5)
    assert float(masking.explained(np.full_like(target, hidden.mean() + 1), target, mask)) == pytest.approx(
        -1 / hidden.var(), rel=1e-3
    )
    assert np.isfinite(float(masking.explained(np.ones_like(target), np.zeros_like(target), mask)))


@pytest.mark.parametrize(("height", "width", "channels", "patch"), [(8, 12, 3, 4), (6, 6, 1, 2), (4, 4, 2, 4)])
def test_patches_are_cut_row_by_row_and_put_together_again(height, width, channels, patch) -> None:
    images = np.random.default_rng(3).random((2, height, width, channels)).astype("float32")
    patches = numpy(patchify(images, patch))
    columns = width // patch
    for index in range(patches.shape[1]):
        top, left = index // columns * patch, index % columns * patch
        np.testing.assert_array_equal(
            patches[:, index].reshape(2, patch, patch, channels), images[:, top : top + patch, left : left + patch]
        )
    np.testing.assert_array_equal(numpy(unpatchify(patches, (height // patch, columns), patch)), images)


def test_positions_are_different_and_know_row_and_column() -> None:
    positions = sine_positions((3, 4), 16).reshape(3, 4, 16)
    assert len({tuple(vector) for vector in positions.reshape(12, 16)}) == 12
    np.testing.assert_array_equal(positions[1, :, :8], np.broadcast_to(positions[1, :1, :8], (4, 8)))
    np.testing.assert_array_equal(positions[:, 2, 8:], np.broadcast_to(positions[:1, 2, 8:], (3, 8)))
