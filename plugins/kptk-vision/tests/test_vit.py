"""Vision Transformers: published parameter counts, the paper's equations in NumPy, patches, positions, pooling, files."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.training.patches import find_stages, sine_positions, stages

numpy = keras.ops.convert_to_numpy
SMALL = {"depth": 2, "width": 16, "heads": 2}


@pytest.mark.parametrize(
    ("name", "published", "width"),
    [("vit_tiny", 5_717_416, 192), ("vit_small", 22_050_664, 384), ("vit_base", 86_567_656, 768)],
)
def test_parameter_counts_are_the_published_ones(name, published, width) -> None:
    backbone = kptk.backbone(name, input_shape=(224, 224, 3), pool="cls")
    # Published counts have a 1000-class head, and a class token and a patch bias beside the positions that can hold both.
    assert backbone.count_params() == published - (1000 * width + 1000) - 2 * width
    assert backbone.output_shape == (None, width)
    found = stages(backbone)
    assert (found.patch, found.grid, found.leading, found.numbers) == (16, (14, 14), 1, 768)


def reference(model, images: np.ndarray, heads: int, patch: int) -> np.ndarray:
    """Equations 1 to 4 of the paper with the average of the tokens, one image and one head at a time."""
    weights = {f"/{w.path}": numpy(w).astype(np.float64) for w in model.weights}

    def get(ending: str) -> np.ndarray:
        (found,) = [value for path, value in weights.items() if path.endswith(ending)]
        return found

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
        return scaled * get(f"/{name}/gamma") + get(f"/{name}/beta")

    def attention(x: np.ndarray, name: str) -> np.ndarray:
        total = get(f"/{name}/attention_output/bias").copy() * np.ones_like(x)
        for head in range(heads):
            q, k, v = (
                x @ get(f"/{name}/{part}/kernel")[:, head] + get(f"/{name}/{part}/bias")[head]
                for part in ("query", "key", "value")
            )
            scores = np.exp(q @ k.T / math.sqrt(q.shape[1]))
            total += scores / scores.sum(axis=1, keepdims=True) @ v @ get(f"/{name}/attention_output/kernel")[head]
        return total

    def gelu(x: np.ndarray) -> np.ndarray:
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    outputs = []
    for image in images.astype(np.float64):
        rows = range(0, image.shape[0], patch)
        columns = range(0, image.shape[1], patch)
        x = np.stack([image[r : r + patch, c : c + patch].reshape(-1) for r in rows for c in columns])
        x = (2 * x - 1) @ get("/project/kernel") + get("/project/bias")
        for block in ("block0", "block1"):
            x = x + attention(norm(x, f"{block}_norm1"), f"{block}_attention")
            y = gelu(norm(x, f"{block}_norm2") @ get(f"/{block}_mlp1/kernel") + get(f"/{block}_mlp1/bias"))
            x = x + y @ get(f"/{block}_mlp2/kernel") + get(f"/{block}_mlp2/bias")
        outputs.append(norm(x, "norm").mean(axis=0))
    return np.stack(outputs)


def test_equals_the_papers_equations() -> None:
    keras.utils.set_random_seed(0)
    model = kptk.backbone("vit_tiny", input_shape=(8, 12, 2), **SMALL)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # biases and gains that start at 0 and 1 would hide a mistake
        weight.assign(numpy(weight) + 0.1 * rng.normal(size=weight.shape).astype("float32"))
    images = rng.random((2, 8, 12, 2)).astype("float32")
    wanted = reference(model, images, heads=2, patch=4)
    np.testing.assert_allclose(numpy(model(images, training=False)), wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("pool", "shape", "leading"), [("average", (None, 16), 0), ("cls", (None, 16), 1), ("none", (None, 49, 16), 0)]
)
def test_pooling(pool, shape, leading) -> None:
    keras.utils.set_random_seed(0)
    model = kptk.backbone("vit_tiny", input_shape=(28, 28, 1), pool=pool, **SMALL)
    assert model.output_shape == shape
    found = stages(model)
    assert found.leading == leading
    images = np.random.default_rng(0).random((3, 28, 28, 1)).astype("float32")
    patches = images.reshape(3, 7, 4, 7, 4, 1).transpose(0, 1, 3, 2, 4, 5).reshape(3, 49, 16)
    tokens = numpy(found.encoder(found.embed(patches)))
    wanted = {"average": tokens.mean(axis=1), "cls": tokens[:, 0], "none": tokens}[pool]
    np.testing.assert_allclose(numpy(model(images)), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("side", "patch", "grid"), [(28, 0, 7), (60, 0, 15), (64, 0, 4), (224, 0, 14), (28, 7, 4)])
def test_default_patch_depends_on_the_size(side, patch, grid) -> None:
    model = kptk.backbone("vit_tiny", input_shape=(side, side, 1), patch=patch, **SMALL)
    assert stages(model).grid == (grid, grid)


def test_positions_start_as_sines_and_can_learn() -> None:
    model = kptk.backbone("vit_tiny", input_shape=(16, 8, 1), pool="cls", **SMALL)
    project = stages(model).embed.get_layer("project")
    np.testing.assert_array_equal(numpy(project.bias)[1:], sine_positions((4, 2), 16))
    assert np.abs(numpy(project.bias)[0]).max() < 0.2, "the class token starts small"
    assert any(variable is project.bias for variable in model.trainable_variables)


def test_a_cnn_has_no_stages() -> None:
    assert find_stages(kptk.backbone("example_cnn", input_shape=(8, 8, 1))) is None
    assert find_stages(kptk.backbone("resnet18", input_shape=(8, 8, 1), width=4)) is None


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((30, 30, 1), {}, r"`patch` must divide both sides.*patch 4 for images of 30 x 30. Patches of 2, 3, 5, 6"),
        ((29, 31, 1), {}, "No patch fits this size"),
        ((28, 28, 1), {"width": 20, "heads": 3}, "`width` must be a multiple of 4 and of the 3 heads. Received: 20"),
        ((28, 28, 1), {"width": 18, "heads": 3}, "`width` must be a multiple of 4"),
        ((28, 28, 1), {"pool": "max"}, "`pool` must be one of 'average', 'cls', 'none'"),
        ((28, 28, 1), {"depth": 0}, "`depth` must be an integer at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shape, options, sentence) -> None:
    with pytest.raises(kptk.UsageError, match=sentence):
        kptk.backbone("vit_tiny", input_shape=shape, **options)


@pytest.mark.parametrize("pool", ["average", "cls"])
def test_a_trained_file_runs_where_kptk_is_not_imported(pool, tmp_path) -> None:
    keras.utils.set_random_seed(0)
    model = kptk.backbone("vit_tiny", input_shape=(16, 16, 3), pool=pool, **SMALL)
    for weight in model.weights:
        weight.assign(numpy(weight) + 0.01)  # not what a new model starts with
    images = np.random.default_rng(0).random((2, 16, 16, 3)).astype("float32")
    np.savez(tmp_path / "case.npz", images=images, wanted=numpy(model(images, training=False)))
    model.save(tmp_path / "backbone.keras")
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
