"""Facts about the backbones: parameter counts, shapes, stems, and that a plain Keras file is enough."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk


@pytest.mark.parametrize(("shape", "with_head"), [((28, 28, 1), 693_962), ((32, 32, 3), 923_914), ((8, 8, 1), 38_602)])
def test_example_cnn_has_the_published_parameter_counts(shape, with_head) -> None:
    backbone = kptk.backbone("example_cnn", input_shape=shape)
    assert backbone.count_params() + 128 * 10 + 10 == with_head
    assert [type(layer).__name__ for layer in backbone.layers[1:]] == [
        *("Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dropout")
    ]


@pytest.mark.parametrize(
    ("name", "trainable", "features"),
    [  # torchvision's counts without the 1000-class head
        ("resnet18", 11_689_512 - 513_000, 512),
        ("resnet34", 21_797_672 - 513_000, 512),
        ("resnet50", 25_557_032 - 2_049_000, 2048),
    ],
)
def test_resnets_have_the_papers_parameter_counts(name, trainable, features) -> None:
    backbone = kptk.backbone(name, input_shape=(64, 64, 3), stem="imagenet")
    assert sum(np.prod(variable.shape) for variable in backbone.trainable_variables) == trainable
    assert backbone.output_shape == (None, features)


def test_stems_keep_and_reduce_the_size() -> None:
    sizes = {}
    for stem in ("small", "imagenet"):
        backbone = kptk.backbone("resnet18", input_shape=(32, 32, 3), stem=stem, width=4)
        sizes[stem] = backbone.get_layer("stage0_block0_add").output.shape[1]
    assert sizes == {"small": 32, "imagenet": 8}
    auto = kptk.backbone("resnet18", input_shape=(32, 32, 3), width=4)
    assert auto.get_layer("stage0_block0_add").output.shape[1] == 32
    auto = kptk.backbone("resnet18", input_shape=(64, 64, 3), width=4)
    assert auto.get_layer("stage0_block0_add").output.shape[1] == 16


def test_too_small_inputs_are_refused_with_both_sizes() -> None:
    with pytest.raises(kptk.UsageError, match="at least 8 pixels a side"):
        kptk.backbone("resnet18", input_shape=(4, 32, 3))


def test_unknown_option_is_refused() -> None:
    with pytest.raises(kptk.UsageError, match="Did you mean 'stem'"):
        kptk.backbone("resnet18", input_shape=(32, 32, 3), stm="small")


def test_saved_backbone_runs_where_kptk_is_not_imported(tmp_path) -> None:
    backbone = kptk.backbone("resnet18", input_shape=(16, 16, 3), width=4)
    images = np.random.default_rng(0).random((2, 16, 16, 3)).astype("float32")
    wanted = keras.ops.convert_to_numpy(backbone(images, training=False))
    np.savez(tmp_path / "case.npz", images=images, wanted=wanted)
    backbone.save(tmp_path / "backbone.keras")
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1] + '/backbone.keras')\n"
        "case = np.load(sys.argv[1] + '/case.npz')\n"
        "got = keras.ops.convert_to_numpy(model(case['images'], training=False))\n"
        "np.testing.assert_allclose(got, case['wanted'], rtol=1e-5, atol=1e-6)\n"
        "assert not any(name.startswith('kptk') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["conv_stack", "mlp"])
def test_inference_follows_training_within_a_short_run(name: str) -> None:
    """Eighty steps are enough for the averages of batch normalisation: few labels give no more."""
    network = kptk.backbone(name, input_shape=(16, 16, 1), batch_norm=True, depth=2)
    images = np.random.default_rng(0).uniform(0, 1, (64, 16, 16, 1)).astype("float32")
    for _ in range(80):
        trained = np.asarray(keras.ops.convert_to_numpy(network(images, training=True)))
    used = np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))
    assert np.abs(used - trained).max() < 0.05 * np.abs(trained).max()
