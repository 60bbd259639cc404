"""The bundled ImageNet weights know real photographs, and the backbone is that network."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.training.backbones import reinitialised
from kptk_vision.squeezenet import imagenet_classes, squeezenet_classifier


def photo(name: str) -> np.ndarray:
    """A photograph that an installed package ships, 227 x 227, 0..1."""
    import matplotlib

    if name == "grace_hopper.jpg":
        file = Path(matplotlib.get_data_path()) / "sample_data" / name
    else:
        file = Path(str(resources.files("sklearn.datasets.images") / name))
    with Image.open(file) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (227, 227)), dtype="float32") / 255


@pytest.fixture(scope="module")
def classifier():
    return squeezenet_classifier()


def five_best(classifier, image) -> list[str]:
    probabilities = keras.ops.convert_to_numpy(classifier(image[None], training=False))[0]
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    return [imagenet_classes()[index].split(",")[0] for index in probabilities.argsort()[::-1][:5]]


def test_it_has_the_published_size(classifier) -> None:
    assert classifier.count_params() == 1_235_496
    assert len(imagenet_classes()) == 1000


def test_it_knows_a_temple_and_a_uniform(classifier) -> None:
    temple = five_best(classifier, photo("china.jpg"))
    assert {"stupa", "monastery", "palace"} <= set(temple)
    officer = five_best(classifier, photo("grace_hopper.jpg"))
    assert {"military uniform", "suit", "Windsor tie"} <= set(officer)


def test_colours_are_in_the_order_of_kptk(classifier) -> None:
    """The weights were trained on blue, green, red: a swap would pass unseen but for the numbers."""
    image = photo("china.jpg")
    stupa = imagenet_classes().index("stupa, tope")
    right, swapped = (
        keras.ops.convert_to_numpy(classifier(item[None], training=False))[0, stupa]
        for item in (image, image[..., ::-1])
    )
    assert right == pytest.approx(0.52, abs=0.02)
    assert swapped < right


def test_backbone_is_the_classifier_without_its_head(classifier) -> None:
    backbone = kptk.backbone("squeezenet", input_shape=(227, 227, 3))
    image = photo("china.jpg")[None]
    maps = keras.Model(classifier.input, classifier.get_layer("fire9_concat").output)(image, training=False)
    features = backbone(image, training=False)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(features), keras.ops.convert_to_numpy(maps).mean(axis=(1, 2)), rtol=1e-3, atol=1e-3
    )
    assert backbone.count_params() == 722_496


def test_grey_is_repeated() -> None:
    grey, colour = (kptk.backbone("squeezenet", input_shape=(64, 48, channels)) for channels in (1, 3))
    image = np.random.default_rng(0).random((2, 64, 48, 1)).astype("float32")
    want = keras.ops.convert_to_numpy(colour(np.repeat(image, 3, axis=-1), training=False))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(grey(image, training=False)), want, rtol=1e-4, atol=1e-4)
    with pytest.raises(kptk.UsageError, match="1 or 3 channels"):
        kptk.backbone("squeezenet", input_shape=(64, 64, 4))


def test_size_31_is_the_smallest() -> None:
    assert kptk.backbone("squeezenet", input_shape=(31, 31, 3)).output_shape == (None, 512)
    with pytest.raises(kptk.UsageError, match="at least 31 pixels a side"):
        kptk.backbone("squeezenet", input_shape=(30, 40, 3))


def test_fresh_weights_are_fresh() -> None:
    loaded, again, fresh = (
        kptk.backbone("squeezenet", input_shape=(31, 31, 3), weights=weights)
        for weights in ("imagenet", "imagenet", "none")
    )
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), again.get_weights(), strict=True))
    control = reinitialised(loaded, seed=0)
    for old, new, other in zip(loaded.get_weights(), fresh.get_weights(), control.get_weights(), strict=True):
        assert not np.allclose(old, new)
        assert not np.allclose(old, other)
