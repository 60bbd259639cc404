"""Facts about KerasCV's networks and augmentations under kptk, and what is said of those that do not work."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

keras_cv = pytest.importorskip("keras_cv", reason="the environments of JAX and PyTorch leave the heavy plugins out")

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk_keras_cv.augmentations import AUGMENTATIONS, REFUSED
from kptk_keras_cv.cv import WORKS
from kptk_keras_cv.cv_views import CvViews

RESNET = '{"stackwise_filters": [64, 64], "stackwise_blocks": [2, 2], "stackwise_strides": [1, 2], "block_type": "basic_block"}'
SMALL = {  # the smallest network of every class that the plugin says works
    "CSPDarkNet": '{"stackwise_channels": [8, 16], "stackwise_depth": [1, 1]}',
    "DenseNet": '{"stackwise_num_repeats": [1, 1]}',
    "MiT": '{"depths": [1, 1, 1, 1], "embedding_dims": [8, 16, 40, 64]}',
    "ResNet": RESNET,
    "ResNetV2": RESNET,
    "ViTDet": (
        '{"patch_size": 16, "embed_dim": 16, "depth": 1, "mlp_dim": 32, "num_heads": 2, "global_attention_indices": [0]}'
    ),
    "MobileNetV3": (
        '{"stackwise_expansion": [1, 4], "stackwise_filters": [8, 16], "stackwise_kernel_size": [3, 3], '
        '"stackwise_stride": [2, 2], "stackwise_se_ratio": [0.25, null], "stackwise_activation": ["relu", "hard_swish"]}'
    ),
}
EFFICIENT = (
    '{"width_coefficient": 0.5, "depth_coefficient": 0.5, "stackwise_kernel_sizes": [3, 3], "stackwise_num_repeats": [1, 1], '
    '"stackwise_input_filters": [32, 16], "stackwise_output_filters": [16, 24], "stackwise_expansion_ratios": [1, 4], '
    '"stackwise_strides": [1, 2]%s}'
)
SQUEEZE = ', "stackwise_squeeze_and_excite_ratios": [0.25, 0.25]'
SMALL |= {
    "EfficientNetLite": EFFICIENT % "",
    "EfficientNetV1": EFFICIENT % SQUEEZE,
    "EfficientNetV2": EFFICIENT % (SQUEEZE + ', "stackwise_conv_types": ["fused", "unfused"]'),
}


@pytest.mark.parametrize(
    ("name", "trainable"),
    [  # Keras Applications' and the Lite authors' counts without their heads, and KerasCV's own 2.38 million
        ("efficientnet_v2_b0", 5_919_312 - 60_608),
        ("efficientnet_lite_b0", 4_652_008 - 1_281_000),
        ("csp_darknet_tiny", 2_372_304),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, trainable: int) -> None:
    backbone = kptk.backbone(name, input_shape=(64, 64, 3))
    assert sum(np.prod(variable.shape) for variable in backbone.trainable_variables) == trainable


@pytest.mark.parametrize("family", WORKS)
def test_every_class_that_is_said_to_work_trains_saves_and_loads(family: str, tmp_path) -> None:
    backbone = kptk.backbone("cv", input_shape=(64, 64, 3), family=family, arguments=SMALL[family])
    model = keras.Sequential([backbone, keras.layers.Dense(2)])
    images = np.random.default_rng(0).random((4, 64, 64, 3)).astype("float32")
    model.compile(optimizer="sgd", loss="mse")
    before = [variable.numpy().copy() for variable in backbone.trainable_variables]
    model.fit(images, np.ones((4, 2)), verbose=0)
    assert any(not np.array_equal(a, b.numpy()) for a, b in zip(before, backbone.trainable_variables, strict=True))
    backbone.save(tmp_path / "backbone.keras")
    loaded = kptk.load_model(tmp_path / "backbone.keras")
    wanted, got = (keras.ops.convert_to_numpy(item(images, training=False)) for item in (backbone, loaded))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("VideoSwin", "it takes videos, not images"),
        ("ResNet18V2", "KerasCV downloads its settings"),
        ("DenseNat", "Did you mean 'DenseNet'"),
    ],
)
def test_classes_that_do_not_work_are_refused_with_the_reason(family: str, message: str) -> None:
    with pytest.raises(kptk.UsageError, match=message):
        kptk.backbone("cv", input_shape=(64, 64, 3), family=family)


def test_an_error_of_keras_cv_comes_as_one_sentence() -> None:
    arguments = '{"stackwise_filters": [64, 64], "stackwise_blocks": [1, 1], "stackwise_strides": [1, 2]}'
    with pytest.raises(kptk.UsageError, match="ResNetV2Backbone of KerasCV for images of 64 x 64 x 3 cannot be built"):
        kptk.backbone("cv", input_shape=(64, 64, 3), family="ResNetV2", arguments=arguments)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_augmentation_changes_images_within_their_range(name: str, channels: int) -> None:
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.integers(0, 256, (8, 6, 6, channels), dtype="uint8"), 4, 1), 4, 2)
    layer = CvViews(layers=name, strength=0.6, seed=0)
    changed = False
    for view in map(keras.ops.convert_to_numpy, layer(images)):
        assert view.shape == images.shape
        assert view.min() >= 0 and view.max() <= 1 and np.isfinite(view).all()
        changed |= not np.allclose(view, images / 255.0, atol=1e-3)
    colour_only = {"channel_shift", "channel_shuffle", "color_jitter", "degeneration", "hue", "saturation"}
    assert changed or (channels == 1 and name in colour_only)


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_make_no_view_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(kptk.UsageError, match=REFUSED[name]):
        CvViews(layers=f"flip,{name}")


def test_bad_layers_are_named() -> None:
    with pytest.raises(kptk.UsageError, match="Did you mean 'cutout'"):
        CvViews(layers="cutuot")
    with pytest.raises(kptk.UsageError, match="must name at least one"):
        CvViews(layers=" , ")
    with pytest.raises(kptk.InputError, match="crop makes square views"):
        CvViews().check(np.zeros((2, 8, 6, 3), "uint8"))


def test_command_trains_with_both_and_the_run_loads(tmp_path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=rng.integers(0, 256, (32, 32, 32, 3), dtype="uint8"))
    command = ["train", "--plugin", "contrastive", "--backbone", "csp_darknet_tiny"]
    command += ["--preprocessor", "cv_views", "--data", str(tmp_path / "images.npz"), "--out", str(tmp_path / "run")]
    command += ["--epochs", "1", "--batch-size", "16", "--quiet"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    model = kptk.load_model(tmp_path / "run" / "pretrainer.keras")
    assert isinstance(model.views, CvViews)
