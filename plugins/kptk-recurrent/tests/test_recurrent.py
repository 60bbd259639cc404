"""Recurrent backbones and objectives: formulas, masks, and that everything reaches the classifier."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
TOKENS, LENGTH = 11, 7


@pytest.fixture(scope="module")
def keras():
    return backend.import_keras()


def array(tensor) -> np.ndarray:
    return np.asarray(backend.import_keras().ops.convert_to_numpy(tensor))


def backbone(name: str = "lstm", shape: tuple[int, ...] = (LENGTH,), **options):
    import kptk

    backend.import_keras().utils.set_random_seed(0)
    options = {"vocabulary": TOKENS, "embedding_dim": 6, "units": 5} | options
    return kptk.backbone(name, input_shape=shape, **options)


def rows() -> np.ndarray:
    ids = np.random.default_rng(0).integers(1, TOKENS, (4, LENGTH)).astype("int32")
    ids[1, 4:], ids[2, 1:] = 0, 0
    return ids


def test_loss_equals_a_loop_and_its_gradient_the_softmax(keras) -> None:
    from kptk.testing.gradients import value_and_gradients
    from kptk_recurrent.sequence_loss import sequence_loss

    rng = np.random.default_rng(0)
    logits, ids, mask = rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3)), np.array([[1, 1, 0], [1, 0, 0]], bool)
    total, wanted = 0.0, np.zeros_like(logits)
    for b, t in zip(*np.nonzero(mask), strict=True):
        p = np.exp(logits[b, t]) / np.exp(logits[b, t]).sum()
        total -= math.log(p[ids[b, t]])
        wanted[b, t] = (p - np.eye(4)[ids[b, t]]) / mask.sum()
    value, (gradient,) = value_and_gradients(lambda x: sequence_loss(x, ids, mask), logits)
    assert value == pytest.approx(total / mask.sum(), rel=1e-5)
    np.testing.assert_allclose(gradient, wanted, atol=1e-6)
    numbers = rng.normal(size=(2, 3, 4)).astype("float32")
    value, (gradient,) = value_and_gradients(lambda x: sequence_loss(x, numbers, mask), logits)
    assert value == pytest.approx(np.square(logits - numbers)[mask].mean(), rel=1e-5)
    np.testing.assert_allclose(gradient[~mask], 0)


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("pool", ["last", "mean"])
def test_padding_changes_no_feature(keras, name, pool) -> None:
    model = backbone(name, pool=pool, layers=2)
    ids = rows()
    whole = array(model(ids))
    states = array(model.get_layer("encoder")([model.get_layer("embed")(ids), keras.ops.convert_to_tensor(ids != 0)]))
    for row, (feature, state) in enumerate(zip(whole, states, strict=True)):
        count = int((ids[row] != 0).sum())
        np.testing.assert_allclose(
            feature, state[:count].mean(axis=0) if pool == "mean" else state[count - 1], atol=1e-6
        )
        short = backbone(name, (count,), pool=pool, layers=2)
        short.set_weights(model.get_weights())
        np.testing.assert_allclose(feature, array(short(ids[row : row + 1, :count]))[0], atol=1e-5)


def test_forget_bias_starts_at_one(keras) -> None:
    bias = array(backbone().get_layer("encoder").get_layer("layer0").cell.bias)
    assert bias[5:10].tolist() == [1.0] * 5
    assert not bias[:5].any()


def test_language_model_predicts_from_what_was_read_only(keras) -> None:
    """Changing a token changes no prediction before it; the wanted tokens are the next ones."""
    import kptk

    model = kptk.objective("recurrent", backbone=backbone(), views=None)
    ids = rows()
    outputs = model(ids)
    changed = ids.copy()
    changed[0, 3] = ids[0, 3] % (TOKENS - 1) + 1
    again = model(changed)
    before, after = array(outputs["predicted"]), array(again["predicted"])
    np.testing.assert_allclose(before[0, :3], after[0, :3], atol=1e-6)
    assert np.abs(before[0, 3:] - after[0, 3:]).max() > 1e-4
    assert array(outputs["wanted"]).tolist() == ids[:, 1:].tolist()
    assert array(outputs["mask"]).tolist() == (ids[:, 1:] != 0).tolist()
    assert model.chance_loss(8) == pytest.approx(math.log(TOKENS))


def test_autoencoder_sees_the_whole_sequence_and_no_answer(keras) -> None:
    """The first prediction depends on the last token read; the prediction of a token does not depend on the one it gets after."""
    import kptk

    model = kptk.objective("sequence_autoencoder", backbone=backbone(), views=None)
    found = model.backbone.get_layer("encoder")
    ids = rows()
    outputs = model(ids)
    assert array(outputs["predicted"]).shape == (4, LENGTH, TOKENS)
    changed = ids.copy()
    changed[0, -1] = ids[0, -1] % (TOKENS - 1) + 1
    again = array(model(changed)["predicted"])
    assert np.abs(again[0, 0] - array(outputs["predicted"])[0, 0]).max() > 1e-6, (
        "the state of the reading reaches the writing"
    )
    # A reading of a padded row goes on as that of the row without padding.
    vectors = array(model.backbone.get_layer("embed")(ids))[1:2]
    start = np.broadcast_to(array(model.start), (1, 1, 6))
    unpadded = np.concatenate([vectors[:, :4], start, vectors[:, :3]], axis=1)
    states = array(found([unpadded, np.ones((1, 8), bool)]))
    np.testing.assert_allclose(
        array(model.output_layer(states[:, 4:])), array(outputs["predicted"])[1:2, :4], atol=1e-5
    )


@pytest.mark.parametrize("name", ["recurrent", "sequence_autoencoder"])
def test_all_weights_of_the_backbone_are_trained_and_start_the_classifier(keras, name) -> None:
    import kptk
    from kptk.training.pretrainer import with_head

    model = kptk.objective(name, backbone=backbone(), views=None)
    before = [array(weight).copy() for weight in model.backbone.weights]
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(rows(), batch_size=4, epochs=2, verbose=0)
    assert all(
        np.abs(array(weight) - old).max() > 0 for weight, old in zip(model.backbone.weights, before, strict=True)
    )
    classifier = with_head(model.backbone, keras.layers.Dense(2))
    inside = {id(weight) for weight in classifier.weights}
    assert all(id(weight) in inside for weight in model.backbone.weights)
    assert len(model.backbone.weights) == 4  # the table, and kernel, recurrent kernel and bias of the layer


@pytest.mark.parametrize("name", ["recurrent", "sequence_autoencoder"])
def test_sequences_of_numbers_are_learned(keras, name) -> None:
    import kptk

    steps = np.arange(12)[None, :, None] * 0.7 + np.random.default_rng(0).uniform(0, 6, (64, 1, 1))
    x = np.concatenate([np.sin(steps), np.cos(steps)], axis=2).astype("float32")
    model = kptk.objective(name, backbone=backbone(shape=(12, 2), units=16), views=None)
    assert model.chance_loss(8) is None
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    losses = model.fit(x, batch_size=32, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [((7,), {"vocabulary": 0}, "`vocabulary` must be"), ((7, 2, 3), {}, "takes tokens (length,) or numbers")],
)
def test_wrong_sizes_are_refused(keras, shape, options, said) -> None:
    from kptk.errors import UsageError

    with pytest.raises(UsageError) as error:
        backbone(shape=shape, **options)
    assert said in str(error.value)


def test_a_network_that_reads_no_sequences_is_refused(keras) -> None:
    import kptk
    from kptk.errors import UsageError

    images = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
    with pytest.raises(UsageError, match="Use --backbone lstm or gru"):
        kptk.objective("recurrent", backbone=images, views=None)


def test_a_network_of_one_length_cannot_read_and_write(keras) -> None:
    import kptk
    from kptk.errors import UsageError

    fixed = kptk.backbone("causal_transformer", input_shape=(LENGTH,), vocabulary=TOKENS, width=8, layers=1)
    with pytest.raises(
        UsageError, match=r"must read sequences of any length.*rows of 7 steps only. Use --backbone lstm"
    ):
        kptk.objective("sequence_autoencoder", backbone=fixed, views=None)
    assert kptk.objective("recurrent", backbone=fixed, views=None)
