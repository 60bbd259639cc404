"""Facts about KerasHub's networks under kptk: counts, what files hold, presets, and what is said when it cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

keras_nlp = pytest.importorskip("keras_nlp", reason="the environments of JAX and PyTorch leave the heavy plugins out")

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk.modelfile import objects, read_config

COUNTS = {  # Keras Applications without their heads; for DeiT and MiT the papers' code, for CSPDarkNet-53 timm's
    "vgg16": 14_714_688,
    "densenet121": 7_037_504,
    "xception": 20_861_480,
    "efficientnet_b0": 4_049_564,
    "mobilenet_v3_small": 939_120,
    "mit_b0": 3_319_392,
    "csp_darknet53": 27_642_184 - 1_025_000 + 35_328,  # trainable ones, less the head, and moving statistics
}


def _images(side: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((2, side, side, channels)).astype("float32")


def _features(model, images) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(images, training=False))


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    assert kptk.backbone(name, input_shape=(64, 64, 3)).count_params() == COUNTS[name]


def test_deit_tiny_has_the_papers_count_at_its_own_size() -> None:
    backbone = kptk.backbone("deit_tiny", input_shape=(224, 224, 3))
    assert backbone.count_params() == 5_910_800 - 2 * 193_000  # less two heads
    assert backbone.output_shape == (None, 192)


def test_networks_of_keras_own_layers_are_unrolled_and_load_without_keras_hub(tmp_path) -> None:
    backbone = kptk.backbone("resnet18_v2", input_shape=(32, 32, 1))
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in backbone.layers) == 20
    images = _images(32, 1)
    np.savez(tmp_path / "case.npz", images=images, wanted=_features(backbone, images))
    backbone.save(tmp_path / "backbone.keras")
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1] + '/backbone.keras')\n"
        "case = np.load(sys.argv[1] + '/case.npz')\n"
        "got = keras.ops.convert_to_numpy(model(case['images'], training=False))\n"
        "np.testing.assert_allclose(got, case['wanted'], rtol=1e-4, atol=1e-5)\n"
        "assert not any(name.startswith(('kptk', 'keras_hub', 'keras_nlp')) for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_with_layers_of_keras_hub_say_so_in_their_spec_and_file(tmp_path) -> None:
    backbone = kptk.backbone("deit_tiny", input_shape=(32, 32, 3))
    backbone.save(tmp_path / "backbone.keras")
    held = {item.get("registered_name") for item in objects(read_config(tmp_path / "backbone.keras"))}
    assert "keras_hub>DeiTBackbone" in held
    loaded = kptk.load_model(tmp_path / "backbone.keras")
    np.testing.assert_allclose(_features(loaded, _images(32)), _features(backbone, _images(32)), rtol=1e-4, atol=1e-5)


def test_any_class_by_name_with_arguments_as_text_or_file(tmp_path) -> None:
    arguments = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    (tmp_path / "vit.json").write_text(json.dumps(arguments))
    for written in (json.dumps(arguments), str(tmp_path / "vit.json")):
        backbone = kptk.backbone("hub", input_shape=(32, 32, 3), family="ViTBackbone", arguments=written)
        assert backbone.output_shape == (None, 16)
        backbone.save(tmp_path / "backbone.keras")
        loaded = kptk.load_model(tmp_path / "backbone.keras")
        np.testing.assert_allclose(
            _features(loaded, _images(32)), _features(backbone, _images(32)), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "ResNt"}, "no image backbone 'ResNt'. Did you mean 'ResNet'"),
        ({"family": "Bert"}, "no image backbone 'Bert'"),
        ({"family": "SAM"}, "takes prompts besides images"),
        ({"arguments": "num_layers=4"}, "`arguments` must be JSON"),
        ({"arguments": "[1]"}, "must be a JSON object"),
        ({"arguments": '{"depth": 3}'}, "VGGBackbone of KerasHub for images of 32 x 32 x 3 cannot be built: TypeError"),
        ({"arguments": "nowhere.json"}, "nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(options, message) -> None:
    with pytest.raises(kptk.KptkError, match=message):
        kptk.backbone("hub", input_shape=(32, 32, 3), **options)


def test_a_network_that_keras_would_build_without_some_weights_is_refused() -> None:
    swin = '{"embed_dim": 24, "depths": [2, 2, 2, 2], "num_heads": [2, 2, 2, 2], "window_size": 7}'
    with pytest.raises(kptk.UsageError, match="SwinTransformerBackbone of KerasHub for images of 64 x 64 x 3 cannot"):
        kptk.backbone("hub", input_shape=(64, 64, 3), family="SwinTransformer", arguments=swin)


@pytest.fixture(scope="module")
def saved_preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    keras.utils.set_random_seed(0)
    inner = keras_nlp.models.VGGBackbone([1, 1], [8, 16], image_shape=(None, None, 3))
    inner.save_to_preset(str(folder))
    return folder, inner


def test_preset_folder_gives_the_saved_weights_and_its_own_scaling(saved_preset) -> None:
    folder, inner = saved_preset
    images = _images(32)
    plain = kptk.backbone(str(folder), input_shape=(32, 32, 3))
    wanted = _features(inner, images).mean((1, 2))
    np.testing.assert_allclose(_features(plain, images), wanted, rtol=1e-4, atol=1e-5)
    grey = kptk.backbone("preset", input_shape=(32, 32, 1), path=str(folder))
    repeated = _features(inner, np.repeat(images[..., :1], 3, -1)).mean((1, 2))
    np.testing.assert_allclose(_features(grey, images[..., :1]), repeated, rtol=1e-4, atol=1e-5)


def test_scaling_of_the_presets_image_converter_becomes_part_of_the_model(saved_preset, tmp_path) -> None:
    _, inner = saved_preset
    converter = keras_nlp.layers.ImageConverter(
        image_size=(32, 32), scale=[0.01, 0.02, 0.03], offset=[-1.0, -2.0, -3.0]
    )
    preprocessor = keras_nlp.models.VGGImageClassifierPreprocessor(image_converter=converter)
    classifier = keras_nlp.models.VGGImageClassifier(
        backbone=inner, num_classes=3, preprocessor=preprocessor, pooling="avg"
    )
    classifier.save_to_preset(str(tmp_path))
    backbone = kptk.backbone(str(tmp_path), input_shape=(32, 32, 3))
    images = _images(32)
    scaled = images * 255 * np.array([0.01, 0.02, 0.03]) - np.array([1.0, 2.0, 3.0])
    wanted = _features(inner, scaled.astype("float32")).mean((1, 2))
    np.testing.assert_allclose(_features(backbone, images), wanted, rtol=1e-3, atol=1e-4)


def test_presets_that_are_none(tmp_path) -> None:
    with pytest.raises(kptk.InputError, match="there is no such file"):
        kptk.backbone("preset", input_shape=(32, 32, 3), path=str(tmp_path / "nowhere"))
    with pytest.raises(kptk.InputError, match="it is a folder"):
        kptk.backbone("preset", input_shape=(32, 32, 3), path=str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(kptk.KptkError, match=r"the preset in .* cannot be built"):
        kptk.backbone("preset", input_shape=(32, 32, 3), path=str(tmp_path))


def test_command_trains_on_one_and_the_file_says_what_it_holds(tmp_path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=rng.integers(0, 256, (32, 32, 32, 3), dtype="uint8"))
    command = ["train", "--plugin", "contrastive", "--backbone", "mobilenet_v3_small", "--batch-size", "16", "--quiet"]
    command += ["--data", str(tmp_path / "images.npz"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(tmp_path / "run" / "backbone.keras") as archive:
        assert b"keras_hub>MobileNetBackbone" in archive.read("config.json")


def test_listing_imports_neither_keras_nor_keras_hub() -> None:
    script = (
        "import sys\nfrom kptk.plugins import Plugins\nfound = {o.id for o in Plugins().offers('backbone')}\n"
        "assert 'keras_nlp/densenet121' in found, found\n"
        "assert not {'keras', 'keras_hub', 'keras_nlp', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
