"""Writing with keys and values that are kept: the same logits and the same texts, and a whole pass where it cannot be done."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

from text_task_helpers import sentences

import kptk
from kptk.data import ArraySource
from kptk.training.examples import objects
from kptk.training.sequence_decoder import DECODER, sequence_decoder
from kptk.training.token_cache import keeps
from kptk.training.tokens import EMBED, ENCODER, TABLE
from kptk_text_tasks.remembering import RememberingEncoder, remembering_decoder, remembering_encoder
from kptk_text_tasks.samplers import build_sampler
from kptk_text_tasks.translator import Translator
from kptk_text_tasks.writer import Continuer

pytestmark = pytest.mark.backends
LENGTH = 14
SAMPLERS = ("greedy", "beam", "random", "top_k", "top_p")
ops = keras.ops


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


@pytest.fixture(scope="module")
def views():
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=120, length=LENGTH)
    made.fit(ArraySource(objects([" ".join(words) for words, _ in sentences(60, 1)]), inputs="text"))
    return made


def spread(model):
    """Weights far from their small beginnings, so that what a token sees counts."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            variable.assign(rng.normal(0, 1.5 / np.sqrt(variable.shape[0]), variable.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def writer(views):
    keras.utils.set_random_seed(0)
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": 2, "width": 16, "dropout": 0.1}
    network = spread(kptk.backbone("causal_transformer", input_shape=(LENGTH,), **sizes))
    return kptk.finetune("weight", network, task="generation", preprocessor=views, new_tokens=12)


def written(model, rows):
    """What a writer makes of rows, without compiling it."""
    return numpy(model(ops.convert_to_tensor(rows)))


def prompts(model):
    """Rows of prompts of three lengths."""
    texts = ["Anna", "Bert Smith moved to", "Carla lives"]
    return model.task.prompts(ArraySource(objects(texts), inputs="text"), model.preprocessor).read(np.arange(3))


def test_every_place_has_the_logits_of_a_whole_pass(writer) -> None:
    """Rows of different lengths are read up to the shortest at once, then token by token."""
    rng = np.random.default_rng(2)
    ids = rng.integers(5, 90, (3, LENGTH)).astype("int32")
    ids[1, 9:], ids[2, 12:] = 0, 0
    wanted = numpy(writer(ops.convert_to_tensor(ids), training=False))
    kept = remembering_encoder(writer)
    assert isinstance(kept, RememberingEncoder)
    cache = kept.fill(ops.convert_to_tensor(np.where(np.arange(LENGTH) < 4, ids, 0)))
    assert [tuple(part.shape) for part in cache] == [(3, LENGTH, 2, 8)] * 4
    for place in range(3, LENGTH):
        seen = np.where(np.arange(LENGTH) <= place, ids, 0)
        vectors, cache = kept.step(ops.convert_to_tensor(seen), cache, ops.convert_to_tensor(place))
        there = ids[:, place] > 0
        logits = numpy(writer.task(vectors))
        np.testing.assert_allclose(logits[there], wanted[there, place], rtol=0, atol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_sampler_writes_the_same_with_and_without(writer, sampler) -> None:
    pytest.importorskip("keras_hub", reason="texts are written by KerasHub's samplers")
    x = prompts(writer)
    kept, plain = (Continuer(writer, build_sampler(sampler, seed=3, k=5), keep=keep) for keep in (True, False))
    assert kept.kept is not None and plain.kept is None
    first, second = (written(model, x) for model in (kept, plain))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[x > 0], x[x > 0])
    if sampler == "beam":
        np.testing.assert_array_equal(numpy(kept.predict_on_batch(x)), first)
    assert len({tuple(row[-8:]) for row in first}) > 1  # the prompts are not forgotten


@pytest.mark.parametrize("sampler", ["greedy", "beam"])
def test_a_network_of_kerashub_keeps_its_own_caches(views, sampler) -> None:
    pytest.importorskip("kptk_keras_nlp", reason="GPT-2 of KerasHub comes with kptk-keras-nlp")
    keras.utils.set_random_seed(0)
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": 2, "width": 16, "heads": 2}
    network = spread(kptk.backbone("gpt2", input_shape=(LENGTH,), **sizes))
    model = kptk.finetune("weight", network, task="generation", preprocessor=views, new_tokens=12)
    made = [Continuer(model, build_sampler(sampler), keep=keep) for keep in (True, False)]
    assert made[0].kept is not None
    found = [written(one, prompts(model)) for one in made]
    np.testing.assert_array_equal(*found)


def test_a_decoder_reads_the_other_text_once(views) -> None:
    keras.utils.set_random_seed(0)
    backbone = kptk.backbone(
        "bert", input_shape=(LENGTH,), vocabulary=views.tokens.vocabulary, layers=1, width=16, dropout=0.0
    )
    decoder = spread(sequence_decoder(backbone, 8, layers=2).get_layer(DECODER))
    kept = remembering_decoder(decoder, views.tokens.vocabulary)
    assert kept is not None
    rng = np.random.default_rng(0)
    ids = ops.convert_to_tensor(rng.integers(5, 90, (2, 8)).astype("int32"))
    memory = ops.convert_to_tensor(rng.normal(size=(2, LENGTH, 16)).astype("float32"))
    mask = ops.convert_to_tensor(np.arange(LENGTH)[None] < np.array([[LENGTH], [7]]))
    wanted = numpy(decoder([ids, memory, mask], training=False))
    cache = kept.fill(ids[:, :1] * ops.convert_to_tensor(np.eye(1, 8, dtype="int32")), memory, mask)
    before = cache
    for place in range(8):
        vectors, cache = kept.step(ids, cache, ops.convert_to_tensor(place))
        np.testing.assert_allclose(numpy(vectors), wanted[:, place], rtol=0, atol=1e-4)
    # Two blocks, each with keys and values of what is written and of what is read, which are the very same tensors.
    assert [now is then for now, then in zip(cache, before, strict=True)] == [False, False, True, True] * 2 + [True]


@pytest.mark.parametrize("sampler", ["greedy", "beam"])
def test_texts_are_translated_the_same(views, sampler) -> None:
    pytest.importorskip("keras_hub", reason="texts are written by KerasHub's samplers")
    pytest.importorskip("kptk_finetune", reason="the decoder comes with the strategy encoder_decoder")
    keras.utils.set_random_seed(0)
    backbone = kptk.backbone(
        "bert", input_shape=(LENGTH,), vocabulary=views.tokens.vocabulary, layers=1, width=16, dropout=0.0
    )
    model = kptk.finetune("encoder_decoder", backbone, task="seq2seq", preprocessor=views, target_length=8)
    spread(model.network.get_layer(DECODER))
    rows = model.examples(["Anna lives in Paris .", "Bert", "Carla Smith moved to"]).read(np.arange(3))
    made = [Translator(model, build_sampler(sampler), keep=keep) for keep in (True, False)]
    assert made[0].kept is not None and made[1].kept is None
    first, second = (written(one, rows) for one in made)
    np.testing.assert_array_equal(first, second)
    assert len({tuple(row) for row in first}) > 1


def causal_network(middle, vocabulary: int):
    """A token backbone with something of the user's between attention and the end."""
    inputs = keras.Input((LENGTH,), dtype="int32", name="tokens")
    embed = keras.Model(inputs, keras.layers.Embedding(vocabulary, 8, name=TABLE)(inputs), name=EMBED)
    vectors, mask = keras.Input((LENGTH, 8), name="vectors"), keras.Input((LENGTH,), dtype="bool", name="mask")
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    x = attention(vectors, vectors, attention_mask=ops.expand_dims(mask, 1), use_causal_mask=True)
    encoder = keras.Model([vectors, mask], middle(x), name=ENCODER)
    rows = keras.Input((LENGTH,), dtype="int32", name="rows")
    return keras.Model(rows, encoder([embed(rows), ops.not_equal(rows, 0)]), name="own")


@pytest.mark.parametrize(
    ("middle", "walked", "kept"),
    [
        (lambda: keras.layers.Dense(8, activation="relu"), True, True),
        (lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(8)]), True, True),
        (lambda: keras.layers.Conv1D(8, 3, padding="causal"), False, False),
        (lambda: keras.layers.GRU(8, return_sequences=True), False, False),
        # Nothing to learn, so only trying it out tells that it looks back.
        (lambda: lambda x: ops.cumsum(x, axis=1), True, False),
    ],
    ids=["dense", "sequential", "convolution", "recurrent", "sum"],
)
def test_layers_that_look_back_by_themselves_take_whole_passes(views, middle, walked, kept) -> None:
    pytest.importorskip("keras_hub", reason="texts are written by KerasHub's samplers")
    keras.utils.set_random_seed(0)
    network = causal_network(middle(), views.tokens.vocabulary)
    model = kptk.finetune("weight", network, task="generation", preprocessor=views, new_tokens=6)
    assert keeps(network.get_layer(ENCODER)) is walked
    made = [Continuer(model, build_sampler("greedy"), keep=keep) for keep in (True, False)]
    assert (made[0].kept is not None) is kept
    np.testing.assert_array_equal(*(written(one, prompts(model)) for one in made))
