"""AlexNet: the paper's parameter counts, sizes and normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk_vision.alexnet import local_response_normalisation

LAYERS = {  # weights and biases of each layer: filters x (size x size x inputs / groups + 1)
    2: (34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312),
    1: (34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312),
}


@pytest.mark.parametrize(("groups", "with_head"), [(2, 60_965_224), (1, 62_378_344)])
def test_parameters_are_the_papers(groups, with_head) -> None:
    backbone = kptk.backbone("alexnet", input_shape=(227, 227, 3), groups=groups)
    assert tuple(layer.count_params() for layer in backbone.layers if layer.weights) == LAYERS[groups]
    head = keras.layers.Dense(1000)
    head.build(backbone.output_shape)
    assert backbone.count_params() + head.count_params() == with_head


def test_sizes_are_the_papers() -> None:
    backbone = kptk.backbone("alexnet", input_shape=(227, 227, 3), units=8)
    sizes = [
        backbone.get_layer(name).output.shape[1:] for name in ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5")
    ]
    assert sizes == [(55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256), (13, 13, 256), (6, 6, 256)]


def test_towers_do_not_see_each_other() -> None:
    """With two groups, the second half of conv2's filters does not depend on the first half of its inputs."""
    backbone = kptk.backbone("alexnet", input_shape=(15, 15, 3), units=4)
    conv = backbone.get_layer("conv2")
    inputs = np.random.default_rng(0).random((1, 5, 5, 96)).astype("float32")
    changed = inputs.copy()
    changed[..., :48] += 1
    before, after = (keras.ops.convert_to_numpy(conv(item)) for item in (inputs, changed))
    np.testing.assert_array_equal(before[..., 128:], after[..., 128:])
    assert not np.allclose(before[..., :128], after[..., :128])


def test_normalisation_is_the_papers_formula() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 7)).astype("float32") * 30
    wanted = np.empty_like(x)
    for channel in range(7):
        low, high = max(0, channel - 2), min(6, channel + 2)
        total = (x[..., low : high + 1].astype("float64") ** 2).sum(-1)
        wanted[..., channel] = x[..., channel] / (2 + 1e-4 * total) ** 0.75
    np.testing.assert_allclose(keras.ops.convert_to_numpy(local_response_normalisation(x)), wanted, rtol=1e-5)


@pytest.mark.parametrize(("side", "stem", "first"), [(15, 5, 15), (32, 5, 32), (64, 5, 32), (67, 11, 15), (96, 11, 22)])
def test_stem_suits_the_size(side, stem, first) -> None:
    backbone = kptk.backbone("alexnet", input_shape=(side, side, 3), units=4)
    conv = backbone.get_layer("conv1")
    assert (conv.kernel_size[0], conv.output.shape[1]) == (stem, first)


def test_too_small_images_are_refused_with_a_way_out() -> None:
    with pytest.raises(kptk.UsageError, match="needs sides of at least 67 pixels") as caught:
        kptk.backbone("alexnet", input_shape=(64, 64, 3), stem="imagenet")
    assert "stem='small'" in str(caught.value)
    with pytest.raises(kptk.UsageError, match="at least 15 pixels a side"):
        kptk.backbone("alexnet", input_shape=(14, 14, 3))


def test_it_trains() -> None:
    keras.utils.set_random_seed(0)  # with dropout of a half, a few unlucky first steps can raise the loss
    backbone = kptk.backbone("alexnet", input_shape=(15, 15, 1), units=16)
    backbone.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 15, 15, 1)).astype("float32"), rng.random((16, 16)).astype("float32")
    losses = backbone.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert min(losses[1:]) < losses[0]
