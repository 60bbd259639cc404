"""What each objective does beyond its formula: learns from plain texts, refuses what cannot work, keeps its teacher."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

import kptk
from kptk.data import ArraySource
from kptk.training.tokens import stages

WORDS = {"animal": ["cat", "dog", "cow", "hen"], "place": ["mat", "log", "bed", "hill"]}
RNG = np.random.default_rng(0)
TEXTS = np.array(
    [
        f"The {a} sat on the {p}. It was a good {p} for a {a}. The {a} slept."
        for a, p in zip(RNG.choice(WORDS["animal"], 96), RNG.choice(WORDS["place"], 96), strict=True)
    ],
    dtype=object,
)


def layer(examples: str = "texts", length: int = 24):
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=70, length=length, examples=examples)
    made.fit(ArraySource(TEXTS, inputs="text"))
    return made


def network(views, name: str = "bert", **options):
    keras.utils.set_random_seed(0)
    shape = views.view_shape(views.prepared_shape(()))
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": 1, "width": 16, "dropout": 0.1} | options
    return kptk.backbone(name, input_shape=shape, **sizes)


def trained(model, epochs: int = 25, rate: float = 1e-2):
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model.fit(TEXTS, batch_size=32, epochs=epochs, verbose=0).history


def number(tensor) -> float:
    return float(keras.ops.convert_to_numpy(tensor))


def test_masked_words_are_learned_from_plain_texts() -> None:
    views = layer()
    history = trained(kptk.objective("mlm", backbone=network(views), views=views))
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert history["masked_accuracy"][-1] > 0.5


def test_a_new_model_is_at_chance() -> None:
    views = layer()
    model = kptk.objective("mlm", backbone=network(views), views=views)
    rows = views.prepare(TEXTS)
    loss = number(model.objective_loss(model(rows, training=True), None))
    assert loss == pytest.approx(model.chance_loss(96), rel=0.1)
    assert model.chance_loss(96) == pytest.approx(math.log(views.tokens.vocabulary))


@pytest.mark.parametrize(("name", "examples"), [("nsp", "next"), ("nsp", "order"), ("bert", "next")])
def test_pairs(name, examples) -> None:
    views = layer(examples, 32)
    model = kptk.objective(name, backbone=network(views, pool="cls"), views=views)
    history = trained(model, epochs=2)
    assert np.isfinite(history["loss"]).all()
    rows = views.prepared(ArraySource(TEXTS, inputs="text"), training=True)
    outputs = model(rows.read(np.arange(8)), training=False)
    wanted = rows.read(np.arange(8))[:, 2, 0]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs["answer"]), wanted)
    # The answer is not in what the backbone sees.
    assert keras.ops.convert_to_numpy(views.plain(rows.read(np.arange(8)))).shape == (8, 2, 32)


def test_pairs_are_needed_where_they_are_needed() -> None:
    views = layer()
    for name in ("nsp", "bert"):
        with pytest.raises(UsageError, match=r"learns from pairs of segments.*preprocessor.examples=next"):
            kptk.objective(name, backbone=network(views), views=views)


def test_texts_need_a_vocabulary_and_a_token_backbone() -> None:
    views = layer()
    with pytest.raises(UsageError, match="must be a preprocessor of texts that is fitted"):
        kptk.objective("mlm", backbone=network(views), views=None)
    plain = keras.Sequential([keras.Input((24,)), keras.layers.Dense(4)])
    with pytest.raises(UsageError, match="`backbone` must work on tokens"):
        kptk.objective("mlm", backbone=plain, views=views)


def test_the_generator_fills_only_hidden_places_and_the_backbone_gets_the_gradient() -> None:
    views = layer()
    model = kptk.objective("electra", backbone=network(views), views=views)
    rows = views.prepare(TEXTS[:16])
    outputs = {name: keras.ops.convert_to_numpy(value) for name, value in model(rows, training=True).items()}
    hidden = outputs["weights"].sum(axis=1)
    assert (outputs["replaced"].sum(axis=1) <= hidden).all()
    assert outputs["replaced"].sum() > 0.5 * hidden.sum()  # a new generator hardly ever draws the original
    assert not outputs["replaced"][rows == 0].any()
    history = trained(model, epochs=15)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    outputs = {
        name: keras.ops.convert_to_numpy(value) for name, value in model(views.prepare(TEXTS), training=False).items()
    }
    replaced, there = outputs["replaced"] > 0, outputs["mask"] > 0
    assert outputs["logits"][replaced].mean() > outputs["logits"][there & ~replaced].mean()


def test_perturbed_vectors_raise_the_loss_by_a_step_of_the_wanted_length() -> None:
    from kptk_language.electra import perturbed

    views = layer()
    model = kptk.objective("electra", backbone=network(views, dropout=0.0), views=views, epsilon=0.5)
    trained(model, epochs=3)
    outputs = model(views.prepare(TEXTS[:32]), training=True)
    from kptk_language.losses import binary_cross_entropy

    plain, moved = (
        number(binary_cross_entropy(outputs[n], outputs["replaced"], outputs["mask"])) for n in ("logits", "moved")
    )
    assert moved > plain
    vectors, gradient = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
    step = keras.ops.convert_to_numpy(
        perturbed(keras.ops.convert_to_tensor(vectors), keras.ops.convert_to_tensor(gradient), 0.5)
    )
    length = np.sqrt(((step - vectors) ** 2).sum(axis=(1, 2)))
    np.testing.assert_allclose(length, 0.5 * np.sqrt((vectors**2).sum(-1).mean(1)), rtol=1e-4)


def test_sampled_tokens_follow_their_probabilities() -> None:
    from kptk_language.electra import put_tokens, sample_tokens

    shares = np.array([0.6, 0.3, 0.1], "float32")
    logits = np.tile(np.log(shares), (20_000, 1))
    drawn = keras.ops.convert_to_numpy(
        sample_tokens(
            keras.ops.convert_to_tensor(logits), keras.ops.convert_to_tensor(RNG.random(logits.shape).astype("float32"))
        )
    )
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / len(drawn), shares, atol=0.015)
    ids = np.arange(10, dtype="int32").reshape(1, 10) + 5
    places, tokens, weights = np.array([[2, 7, 0]]), np.array([[90, 91, 92]]), np.array([[1.0, 1.0, 0.0]], "float32")
    given = (keras.ops.convert_to_tensor(x) for x in (ids, places.astype("int32"), tokens.astype("int32"), weights))
    got = keras.ops.convert_to_numpy(put_tokens(*given))
    np.testing.assert_array_equal(got, [[5, 6, 90, 8, 9, 10, 11, 91, 13, 14]])


def test_dropout_makes_the_views_of_a_text() -> None:
    views = layer()
    model = kptk.objective("simcse", backbone=network(views), views=views)
    z = keras.ops.convert_to_numpy(model(views.prepare(TEXTS[:8]), training=True)["embeddings"])
    assert z.shape == (16, 16)
    assert not np.allclose(z[:8], z[8:], atol=1e-4)
    with pytest.raises(UsageError, match="must have dropout"):
        kptk.objective("simcse", backbone=network(views, dropout=0.0), views=views)


def test_the_next_word_is_learned_and_looking_ahead_is_refused() -> None:
    views = layer()
    with pytest.raises(UsageError, match="must read from left to right"):
        kptk.objective("causal", backbone=network(views), views=views)
    model = kptk.objective("causal", backbone=network(views, "causal_transformer"), views=views)
    history = trained(model, epochs=15)
    assert history["next_accuracy"][-1] > 0.6


def test_a_student_begins_with_layers_of_its_teacher_and_comes_to_agree(tmp_path) -> None:
    views = layer()
    teacher = kptk.objective("mlm", backbone=network(views, layers=2), views=views)
    trained(teacher, epochs=15)
    before = [keras.ops.convert_to_numpy(w).copy() for w in teacher.backbone.weights]
    student = network(views, layers=1)
    model = kptk.objective("text_distill", backbone=student, views=views, teacher=teacher)
    for layer_name in ("layer0_mlp1", "layer0_norm2"):
        own, given = (stages(net).encoder.get_layer(layer_name) for net in (student, teacher.backbone))
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(item.weights[0]) for item in (own, given)))
    history = trained(model, epochs=4)
    assert history["loss"][-1] < history["loss"][0]
    after = [keras.ops.convert_to_numpy(w) for w in teacher.backbone.weights]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    model.save(tmp_path / "student.keras")
    loaded = kptk.load_model(tmp_path / "student.keras")
    rows = views.prepare(TEXTS[:4])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loaded.encode(views.plain(rows))),
        keras.ops.convert_to_numpy(model.encode(views.plain(rows))),
        rtol=1e-4,
        atol=1e-5,
    )


def test_teachers_that_cannot_teach(tmp_path) -> None:
    views = layer()
    with pytest.raises(UsageError, match="needs a teacher"):
        kptk.objective("text_distill", backbone=network(views), views=views)
    with pytest.raises(InputError, match="no teacher at"):
        kptk.objective("text_distill", backbone=network(views), views=views, teacher=str(tmp_path / "none.keras"))
    other = layer(length=16)
    teacher = kptk.objective("mlm", backbone=network(other), views=other)
    with pytest.raises(UsageError, match="must have the same length"):
        kptk.objective("text_distill", backbone=network(views), views=views, teacher=teacher)
