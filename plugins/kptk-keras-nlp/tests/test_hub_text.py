"""KerasHub's text networks under kptk: equal to their own, masked, taught by objectives, saved and fine-tuned."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

keras_nlp = pytest.importorskip("keras_nlp", reason="the environments of JAX and PyTorch leave the heavy plugins out")

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk.training.tokens import stages
from kptk_keras_nlp.hub_text import REFUSED_TEXT, text_families
from kptk_keras_nlp.text_architectures import TEXT_ARCHITECTURES
from kptk_keras_nlp.text_stages import token_backbone

LENGTH, VOCABULARY = 12, 40
NAMES = [item.name for item in TEXT_ARCHITECTURES]
SMALL = {"vocabulary": VOCABULARY, "layers": 2, "heads": 2, "width": 16, "mlp_ratio": 2}
BLIND = ("f_net",)
"""Networks that have no mask: padding is zeros to them, and is mixed in."""


def rows(count: int = 3, shape: tuple[int, ...] = (LENGTH,)) -> np.ndarray:
    ids = np.random.default_rng(0).integers(5, VOCABULARY, (count, LENGTH)).astype("int32")
    ids[1:, 8:] = 0
    if len(shape) == 1:
        return ids
    kinds = np.zeros_like(ids)
    kinds[:, 5:8] = 1
    return np.stack([ids, kinds], axis=1)


def array(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype="float32")


@pytest.fixture(scope="module")
def made():
    keras.utils.set_random_seed(0)
    return {name: kptk.backbone(name, input_shape=(LENGTH,), **SMALL) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_stages_make_the_features_and_padding_changes_none(made, name) -> None:
    model = made[name]
    found, ids = stages(model), rows()
    assert (found.length, found.width, found.vocabulary, found.segments) == (LENGTH, 16, VOCABULARY, False)
    whole = array(model(ids, training=False))
    together = array(found.features(found.encode(ids), keras.ops.convert_to_tensor(ids)))
    np.testing.assert_allclose(together, whole, rtol=1e-5, atol=1e-6)
    if name not in BLIND:
        other = kptk.backbone(name, input_shape=(8,), **SMALL | {"positions": LENGTH})
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(array(other(ids[1:, :8], training=False)), whole[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("family", ["Bert", "Albert", "RoformerV2", "FNet", "GPT2"])
def test_numbers_equal_the_networks_own(family, segments) -> None:
    """A network and what was made of it share their weights, so they must say the same."""
    keras.utils.set_random_seed(1)
    sizes = {
        "vocabulary_size": VOCABULARY,
        "num_layers": 2,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "max_sequence_length": LENGTH,
    }
    sizes |= {} if family == "FNet" else {"num_heads": 2}
    sizes |= {"Albert": {"embedding_dim": 8}, "RoformerV2": {"head_size": 8}}.get(family, {})
    if family == "RoformerV2":
        del sizes["max_sequence_length"]
    own = getattr(keras_nlp.models, f"{family}Backbone")(**sizes)
    shape = (2, LENGTH) if segments else (LENGTH,)
    model = token_backbone(own, shape, pool="none", name="same")
    inputs = rows(shape=shape)
    ids = inputs[:, 0] if segments else inputs
    given = {"token_ids": ids, "padding_mask": (ids > 0).astype("int32")}
    given["segment_ids"] = inputs[:, 1] if segments else np.zeros_like(ids)
    given = {key: value for key, value in given.items() if key in own.input}
    wanted = own(given, training=False)
    wanted = array(wanted["sequence_output"] if isinstance(wanted, dict) else wanted)
    got, full = array(model(inputs, training=False)), (ids > 0).all(axis=1)
    np.testing.assert_allclose(got[full], wanted[full], rtol=1e-4, atol=1e-5)
    if family != "FNet":  # which mixes in the vectors of padding; here they are zeros
        np.testing.assert_allclose(got[ids > 0], wanted[ids > 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_saved_networks_load_with_keras_alone(made, name, tmp_path) -> None:
    made[name].save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    np.testing.assert_allclose(array(loaded(rows())), array(made[name](rows())), rtol=1e-5, atol=1e-6)
    assert stages(loaded).vocabulary == VOCABULARY


@pytest.fixture(scope="module")
def layer():
    texts = ["the cat sat on the mat", "the dog sat on the log", "a bird flew over the house", "rain fell all day"] * 8
    made = kptk.preprocessor("text_tokens", views=1, vocabulary=80, length=LENGTH, examples="texts")
    made.fit(kptk.ArraySource(np.array(texts, dtype=object), inputs="text"))
    return made, np.array(texts, dtype=object)


@pytest.mark.parametrize("name", ["albert", "hub_electra", "f_net"])
def test_masked_words_are_learned_and_reach_every_weight(layer, name) -> None:
    views, texts = layer
    keras.utils.set_random_seed(0)
    sizes = SMALL | {"vocabulary": views.tokens.vocabulary, "dropout": 0.0}
    extra = {"arguments": json.dumps({"embedding_dim": 8})} if name in ("albert", "hub_electra") else {}
    model = kptk.objective("mlm", backbone=kptk.backbone(name, input_shape=(LENGTH,), **sizes, **extra), views=views)
    assert stages(model.backbone).table_width == (8 if extra else 16)
    before = [array(weight).copy() for weight in model.backbone.trainable_weights]
    model.compile(optimizer=keras.optimizers.Adam(1e-2), run_eagerly=True)  # no graph for a few steps
    losses = model.fit(texts, batch_size=16, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    still = [
        weight.path
        for weight, value in zip(model.backbone.trainable_weights, before, strict=True)
        if np.array_equal(array(weight), value)
    ]
    # The pooler is no part of the features where the tokens are averaged; a row has one kind of segments and few positions.
    assert not [path for path in still if "pooled" not in path]


def test_other_objectives_take_them(layer) -> None:
    views, texts = layer
    sizes = SMALL | {"vocabulary": views.tokens.vocabulary}
    for objective, name in (("simcse", "roberta"), ("causal", "gpt2"), ("electra", "hub_electra")):
        backbone = kptk.backbone(name, input_shape=(LENGTH,), **sizes)
        model = kptk.objective(objective, backbone=backbone, views=views)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
        assert np.isfinite(model.fit(texts, batch_size=16, epochs=1, verbose=0).history["loss"]).all()


def test_a_run_is_fine_tuned(tmp_path) -> None:
    options = {
        "preprocessor.vocabulary": 300,
        "preprocessor.length": 16,
        "preprocessor.examples": "texts",
        "backbone.width": 16,
        "data.limit": 64,
    }
    result = kptk.train(
        "mlm", data="movie_snippets", backbone="albert", out=tmp_path / "run", epochs=1, batch_size=16, options=options
    )
    assert np.isfinite(result.summary["loss"])
    words = ["finetune", str(tmp_path / "run"), "--task", "classification", "--data", "movie_snippets", "--epochs", "1"]
    words += ["-o", "data.limit=64", "--out", str(tmp_path / "tuned"), "--quiet"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output + str(done.exception)
    assert (tmp_path / "tuned" / "model.keras").exists()


def test_a_local_preset_keeps_its_weights(tmp_path) -> None:
    keras.utils.set_random_seed(2)
    own = keras_nlp.models.BertBackbone(VOCABULARY, 1, 2, 16, 32, max_sequence_length=LENGTH)
    own.save_to_preset(str(tmp_path))
    ids = rows()
    given = {"token_ids": ids, "padding_mask": (ids > 0).astype("int32"), "segment_ids": np.zeros_like(ids)}
    wanted = own(given, training=False)
    model = kptk.backbone("text_preset", input_shape=(LENGTH,), path=str(tmp_path), vocabulary=VOCABULARY, pool="cls")
    np.testing.assert_allclose(array(model(ids)), array(wanted["pooled_output"]), rtol=1e-4, atol=1e-5)
    for options, message in (
        ({"vocabulary": 41}, r"knows 40 tokens and the preprocessor makes 41"),
        ({"input_shape": (13,)}, r"reads rows of at most 12 tokens. Received: 13"),
    ):
        with pytest.raises(kptk.UsageError, match=message):
            kptk.backbone("text_preset", **({"input_shape": (LENGTH,), "path": str(tmp_path)} | options))
    with pytest.raises(kptk.UsageError, match="--backbone text_preset"):
        kptk.backbone(str(tmp_path), input_shape=(32, 32, 3))


@pytest.mark.parametrize("family", sorted(REFUSED_TEXT))
def test_what_is_no_token_backbone_is_refused_with_the_reason(family) -> None:
    with pytest.raises(kptk.UsageError, match=f"{family}Backbone of KerasHub is a"):
        kptk.backbone("hub_text", input_shape=(LENGTH,), family=family, vocabulary=VOCABULARY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "Brt"}, "no text backbone 'Brt'"),
        ({"family": "ResNet"}, "no text backbone 'ResNet'"),
        ({"vocabulary": 0}, "`vocabulary` must be the number of tokens"),
        ({"width": 15}, "`width` must be a multiple of `heads`"),
        ({"positions": 4}, "`positions` must be at least the length"),
        ({"arguments": '{"depth": 3}'}, "BertBackbone of KerasHub for rows of 12 tokens has no option 'depth'"),
        ({"input_shape": (3, 12)}, r"`input_shape` must be \(length,\) or \(2, length\)"),
    ],
)
def test_wrong_arguments_are_said(options, message) -> None:
    with pytest.raises(kptk.UsageError, match=message):
        kptk.backbone("hub_text", **({"input_shape": (LENGTH,), "vocabulary": VOCABULARY} | options))


def test_families_are_those_that_read_texts_alone() -> None:
    found = text_families()
    assert {"Bert", "Albert", "GPT2"} <= set(found) and not set(REFUSED_TEXT) & set(found) and "ResNet" not in found
