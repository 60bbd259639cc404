"""BitFit, LoRA and prototypes: what changes, how much trains, and the formulas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kptk
from kptk.errors import UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "finetune_oracles.npz"


def values(model) -> dict[str, np.ndarray]:
    keras = backend.import_keras()
    return {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in model.variables if "seed" not in v.path}


def fit(model, rows, epochs: int = 2) -> tuple[dict, dict]:
    keras = backend.import_keras()
    before = values(model)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(*rows, epochs=epochs, batch_size=16, verbose=0)
    return before, values(model)


def changed(before: dict, after: dict) -> set[str]:
    return {path for path in before if not np.array_equal(before[path], after[path])}


HEAD = {"classification/logits/kernel", "classification/logits/bias"}


def test_bitfit_changes_biases_and_head_only(backbone, rows) -> None:
    model = kptk.finetune("bitfit", backbone, num_classes=3)
    moved = changed(*fit(model, rows))
    assert moved == HEAD | {"low/bias", "norm/beta", "high/bias", "top/bias"}
    assert sum(int(np.prod(v.shape)) for v in model.biases()) == 4 + 4 + 6 + 5


def test_lora_starts_at_the_kernel_and_trains_r_times_in_plus_out(backbone, rows) -> None:
    keras = backend.import_keras()
    x = rows[0].astype("float32") / 255
    before = keras.ops.convert_to_numpy(backbone(x, training=False))
    model = kptk.finetune("lora", backbone, num_classes=3, rank=2)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(backbone(x, training=False)), before)
    assert sum(int(np.prod(v.shape)) for v in model.adapters()) == 2 * ((9 * 1 + 4) + (9 * 4 + 6) + (6 + 5))
    moved = changed(*fit(model, rows))
    assert moved == HEAD | {v.path for v in model.adapters()}


def test_lora_merges_exactly_on_save_and_trains_on(backbone, rows, tmp_path) -> None:
    keras = backend.import_keras()
    model = kptk.finetune("lora", backbone, num_classes=3, rank=2, alpha=6.0)
    fit(model, rows)
    layer = backbone.get_layer("top")
    a, b = (keras.ops.convert_to_numpy(v.value) for v in (layer.lora_kernel_a, layer.lora_kernel_b))
    wanted = keras.ops.convert_to_numpy(layer._kernel.value) + 3.0 * a @ b
    predicted = keras.ops.convert_to_numpy(model.predictions(rows[0]))
    model.save(tmp_path / "m.keras")
    loaded = kptk.load_model(tmp_path / "m.keras")
    merged = loaded.backbone.get_layer("top")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(merged._kernel.value), wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded.predictions(rows[0])), predicted, rtol=1e-5, atol=1e-6)
    moved = changed(*fit(loaded, rows, 3))
    assert any("lora_kernel_b" in path for path in moved)


def test_lora_equals_another_program() -> None:
    keras = backend.import_keras()
    with np.load(ORACLES, allow_pickle=False) as arrays:
        params = next(m for m in json.loads(str(arrays["meta"])) if m["id"] == "lora_linear")["params"]
        given = {name: arrays[f"lora_linear|in|{name}"].astype("float32") for name in ("A", "B", "W", "b", "x")}
        wanted = arrays["lora_linear|out|y"]
    layer = keras.layers.Dense(5)
    layer.build((None, 6))
    layer.set_weights([given["W"].T, given["b"]])
    layer.enable_lora(params["r"], lora_alpha=params["alpha"])
    layer.lora_kernel_a.assign(given["A"].T)
    layer.lora_kernel_b.assign(given["B"].T)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(given["x"])), wanted, rtol=1e-4, atol=1e-5)


def test_lora_refuses_layers_that_are_not_there(backbone) -> None:
    with pytest.raises(UsageError, match="Received: 'query'"):
        kptk.finetune("lora", backbone, num_classes=3, layers="query")
    model = kptk.finetune("lora", backbone, num_classes=3, layers="top")
    assert {v.path for v in model.adapters()} == {"top/lora_kernel_a", "top/lora_kernel_b"}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_prototypes_predict_the_nearest_class_mean(backbone, rows, metric) -> None:
    keras = backend.import_keras()
    model = kptk.finetune("few_shot", backbone, num_classes=3, metric=metric)
    x, y = rows
    before, after = fit(model, (x[:9], y[:9]), epochs=5)
    # The cosine has no bias: it stays at the zero that it started with.
    assert changed(before, after) == (HEAD if metric == "euclidean" else {"classification/logits/kernel"})
    features = keras.ops.convert_to_numpy(backbone(x.astype("float32") / 255, training=False)).astype("float64")
    if metric == "cosine":
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    means = np.stack([features[:9][y[:9] == label].mean(axis=0) for label in range(3)])
    if metric == "cosine":
        nearest = (features @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)
    else:
        nearest = ((features[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.predictions(x)).argmax(axis=1), nearest)


def test_prototype_logits_are_squared_distances_up_to_a_constant() -> None:
    backend.import_keras()
    from kptk_finetune.few_shot import linear_head

    rng = np.random.default_rng(0)
    centres, features = rng.normal(size=(4, 6)), rng.normal(size=(7, 6))
    kernel, bias = linear_head(centres, "euclidean", 1.0)
    got = features @ kernel + bias
    wanted = -((features[:, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(got - got[:, :1], wanted - wanted[:, :1], rtol=1e-4, atol=1e-5)


def test_episodes_know_chance_and_certainty() -> None:
    backend.import_keras()
    from kptk_finetune.few_shot import episodes

    rng = np.random.default_rng(0)
    labels = np.arange(400) % 8
    noise, half = episodes(rng.normal(size=(400, 16)), labels, ways=5, shots=1, count=200)
    assert abs(noise - 0.2) < 3 * half / 1.96 + 0.01 and 0 < half < 0.02
    sure, half = episodes(np.eye(8)[labels], labels, ways=5, shots=5, count=50)
    assert (sure, half) == (1.0, 0.0)
    with pytest.raises(UsageError, match="must be at most 8"):
        episodes(np.eye(8)[labels], labels, ways=9, shots=1)


@pytest.mark.parametrize(("name", "rest"), [("lora", "adapters"), ("bitfit", "biases")])
def test_the_head_has_the_first_phase_for_itself(backbone, rows, name, rest) -> None:
    keras = backend.import_keras()
    model = kptk.finetune(name, backbone, num_classes=3, head_share=0.5)
    head, others = model.phases()
    assert [phase.name for phase in (head, others)] == ["head", rest]
    assert {v.path for v in head.weights} == HEAD
    assert {v.path for v in others.weights} > HEAD
    assert [phase.name for phase in kptk.finetune(name, backbone, num_classes=3, head_share=0).phases()] == [rest]
    model.compile(keras.optimizers.Adam(1e-2))
    before = {v.path: keras.ops.convert_to_numpy(v.value).copy() for v in model.weights}
    trained = model.begin(head)
    trained.fit(model.cached_features(rows[0]), rows[1], epochs=1, verbose=0)
    moved = {v.path for v in model.weights if not np.array_equal(before[v.path], keras.ops.convert_to_numpy(v.value))}
    assert {path for path in moved if "seed_generator" not in path} == HEAD


@pytest.mark.parametrize(("name", "share"), [("lora", 0.5), ("lora", 0.0), ("bitfit", 0.5), ("bitfit", 0.0)])
def test_several_heads_on_a_trunk_of_which_little_changes(backbone, rows, tmp_path, name, share) -> None:
    """Hard sharing: one change of the trunk for all tasks, every head, and the learned weights of the tasks."""
    keras = backend.import_keras()
    x, classes = rows
    y = np.stack([classes, x.mean(axis=(1, 2, 3)), np.full(len(x), np.nan)], axis=1).astype("float32")
    y[::4, 1] = np.nan
    model = kptk.finetune(
        name,
        backbone,
        task="several",
        tasks="shape:3,brightness:number,unknown:2",
        weighting="uncertainty",
        head_share=share,
    )
    before, after = fit(model, (x, y), epochs=4)
    heads = {"several/heads/kernel", "several/heads/bias", "several/log_sigma"}
    trunk = {v.path for v in (model.adapters() if name == "lora" else model.biases())}
    assert changed(before, after) == heads | trunk | {"several/mean", "several/spread"}
    # Nobody knows a label of the last task, so its columns of the heads keep their bits, and its weight.
    for path in ("several/heads/kernel", "several/heads/bias", "several/log_sigma"):
        unknown = slice(-1, None) if path.endswith("sigma") else slice(-2, None)
        np.testing.assert_array_equal(after[path][..., unknown], before[path][..., unknown])
        assert not np.array_equal(after[path], before[path])
    predicted = keras.ops.convert_to_numpy(model.predictions(x))
    assert predicted.shape == (len(x), 3 + 1 + 2)
    model.save(tmp_path / "m.keras")
    loaded = kptk.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded.predictions(x)), predicted, rtol=1e-4, atol=1e-5)
