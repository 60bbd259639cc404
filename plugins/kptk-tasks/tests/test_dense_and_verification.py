"""Segmentation, denoising and verification against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.data import ArraySource
from kptk.errors import InputError
from kptk.training import backend

pytestmark = pytest.mark.backends


def number(value) -> float:
    keras = backend.import_keras()
    return float(keras.ops.convert_to_numpy(value))


def segmentation():
    backend.import_keras()
    from kptk_tasks.segmentation import Segmentation

    task = Segmentation(class_names=("a", "b", "c"), row_shape=(4, 4, 1))
    task.build((None, 4, 4, 5))
    return task


def test_segmentation_counts_only_labelled_pixels() -> None:
    task = segmentation()
    logits = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    labels = np.random.default_rng(1).integers(0, 3, (2, 4, 4))
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    assert number(task.loss(labels, logits)) == pytest.approx(-picked.mean(), rel=1e-5)
    some = labels.copy()
    some[0, :2] = 255
    some[1] = -1
    assert number(task.loss(some, logits)) == pytest.approx(-picked[0, 2:].mean(), rel=1e-5)


def test_mean_iou_equals_a_count_by_hand() -> None:
    task = segmentation()
    truth = np.array([[0, 0, 1, 1]] * 4)[None]
    guess = np.array([[0, 1, 1, 1]] * 4)[None]
    scores = task.score(truth, np.eye(3)[guess])
    assert scores["mean_iou"] == pytest.approx((1 / 2 + 2 / 3) / 2)  # class c is nowhere and does not count
    assert scores["pixel_accuracy"] == 0.75


def test_masks_that_do_not_fit_are_refused() -> None:
    task = segmentation()
    x = np.zeros((2, 4, 4, 1))
    with pytest.raises(InputError, match=r"masks must have the size of the images, 4 x 4\. Received: 5 x 4"):
        task.targets(ArraySource(x, targets=np.zeros((2, 5, 4), int)))
    with pytest.raises(InputError, match="class 7 in a mask"):
        task.targets(ArraySource(x, targets=np.full((2, 4, 4), 7)))
    with pytest.raises(InputError, match="every pixel is without a label"):
        task.targets(ArraySource(x, targets=np.full((2, 4, 4), 255)))
    with pytest.raises(InputError, match="needs masks"):
        task.targets(ArraySource(x, np.array([0, 1])))
    assert type(task).names_of(ArraySource(x, targets=np.array([[[0, 255], [2, 1]]] * 2))) == ("0", "1", "2")


def test_denoising_noise_has_the_stated_size_and_psnr_is_the_formula() -> None:
    keras = backend.import_keras()
    from kptk_tasks.denoising import Denoising, psnr

    task = Denoising(row_shape=(16, 16, 1), stddev=0.2)
    images = np.full((32, 16, 16, 1), 0.5, "float32")
    noisy = keras.ops.convert_to_numpy(task.degrade(keras.ops.convert_to_tensor(images), True))
    assert noisy.std() == pytest.approx(0.2, rel=0.03)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(task.degrade(keras.ops.convert_to_tensor(images), False)), images
    )
    assert psnr(images, images + 0.1) == pytest.approx(20, abs=1e-3)
    bytes_ = np.full((8, 16, 16, 1), 128, "uint8")
    again = task.evaluation_rows(bytes_)
    np.testing.assert_array_equal(again, task.evaluation_rows(bytes_))
    assert again.dtype == np.uint8
    assert again.astype(float).std() == pytest.approx(0.2 * 255, rel=0.05)


def test_arcface_equals_the_formula() -> None:
    backend.import_keras()
    from kptk_tasks.verification import arc_face

    keras = backend.import_keras()
    cosines = np.random.default_rng(0).uniform(-0.9, 0.9, (5, 4)).astype("float32")
    labels = np.array([0, 1, 2, 3, 0])
    wanted = []
    for row, label in zip(cosines.astype("float64"), labels, strict=True):
        logits = 16 * row
        logits[label] = 16 * math.cos(math.acos(row[label]) + 0.3)
        wanted.append(-logits[label] + math.log(np.exp(logits).sum()))
    got = keras.ops.convert_to_numpy(
        arc_face(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(cosines), 0.3, 16.0)
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_triplets_take_the_hardest_of_the_batch() -> None:
    backend.import_keras()
    from kptk_tasks.verification import batch_hard_triplet

    keras = backend.import_keras()
    rng = np.random.default_rng(0)
    z = rng.normal(size=(7, 5))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    labels = np.array([0, 0, 1, 1, 1, 2, 0])
    distance = np.linalg.norm(z[:, None] - z[None], axis=2)
    wanted = []
    for row in range(7):
        partners = [j for j in range(7) if j != row and labels[j] == labels[row]]
        strangers = [j for j in range(7) if labels[j] != labels[row]]
        wanted.append(max(distance[row, partners].max() - distance[row, strangers].min() + 0.2, 0) if partners else 0.0)
    got = batch_hard_triplet(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(z.astype("float32")), 0.2)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(got), wanted, atol=1e-5)


def test_pair_figures_know_certainty_and_chance() -> None:
    backend.import_keras()
    from kptk_tasks.verification import Verification, pair_figures

    same = np.arange(2000) % 4 == 0
    perfect = pair_figures(same.astype(float), same)
    assert perfect == {"auroc": 1.0, "eer": 0.0, "tar_at_far_1e-2": 1.0, "tar_at_far_1e-3": 1.0}
    chance = pair_figures(np.random.default_rng(0).normal(size=2000), same)
    assert abs(chance["auroc"] - 0.5) < 0.05 and abs(chance["eer"] - 0.5) < 0.05
    assert chance["tar_at_far_1e-2"] < 0.05
    task = Verification(class_names=("x", "y"), row_shape=(4,))
    source = ArraySource(np.zeros((3, 4)), np.array(["y", "new", "new"]))
    assert task.targets(source).tolist() == [1, 2, 2]  # a person who was not in the training data
