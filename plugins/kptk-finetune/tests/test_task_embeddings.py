"""Task embeddings: the formula, where the vectors go, isolation of the tasks, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kptk
from kptk.testing.gradients import value_and_gradients
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()
numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor

from kptk_finetune.task_embeddings import modulated

TASKS = "shape:3,level:number"


def model_of(backbone, **options):
    keras.utils.set_random_seed(1)
    return kptk.finetune(
        "task_embeddings", backbone, task="several", tasks=TASKS, preprocessor="plain_images", **options
    )


@pytest.fixture
def labels(rows) -> np.ndarray:
    x, y = rows
    return np.stack([y, x.mean(axis=(1, 2, 3))], axis=1).astype("float32")


def sequence_backbone():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(11, 4, name="words")(inputs)
    x = keras.layers.LSTM(5, name="memory")(x)
    return keras.Model(inputs, x, name="reader")


def test_film_is_the_papers_with_its_gradient() -> None:
    rng = np.random.default_rng(0)
    hidden, (scale, shift) = rng.normal(size=(3, 2, 4)).astype("float32"), rng.normal(size=(2, 3, 4)).astype("float32")
    value, (of_h, of_g, of_b) = value_and_gradients(
        lambda h, g, b: keras.ops.sum(keras.ops.square(modulated(h, b, g))), hidden, scale, shift
    )
    made = hidden * (1 + scale[:, None]) + shift[:, None]
    assert value == pytest.approx(np.square(made).sum(), rel=1e-5)
    np.testing.assert_allclose(of_h, 2 * made * (1 + scale[:, None]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_g, (2 * made * hidden).sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_b, (2 * made).sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy(modulated(tensor(hidden), tensor(shift))), hidden + shift[:, None], rtol=1e-6)


@pytest.mark.parametrize("mode", ["film", "add"])
def test_it_starts_as_the_backbone_for_every_task(backbone, rows, mode) -> None:
    x = rows[0].astype("float32") / 255
    before = numpy(backbone(x, training=False))
    model = model_of(backbone, mode=mode)
    features = numpy(model.encode(x, False))
    assert features.shape == (48, 2, 5)
    for index in range(2):
        np.testing.assert_allclose(features[:, index], before, rtol=1e-5, atol=1e-6)


def test_the_vectors_reach_the_named_layer_by_the_shared_projection(backbone, rows) -> None:
    x = rows[0].astype("float32") / 255
    before = numpy(backbone(x, training=False))
    model = model_of(backbone, layers="top", dim=3)
    projections = [v for v in model.variables if "from_task" in v.path]
    assert [tuple(v.shape) for v in projections] == [(3, 10)]
    kernel = np.random.default_rng(0).normal(size=(3, 10)).astype("float32")
    projections[0].assign(kernel)
    features = numpy(model.encode(x, False))
    for index, table in enumerate(model.tables):
        made = numpy(table.embeddings.value)[0] @ kernel
        np.testing.assert_allclose(features[:, index], before * (1 + made[5:]) + made[:5], rtol=1e-4, atol=1e-5)


def test_layers_whose_change_batch_normalisation_would_undo_are_left_out(backbone) -> None:
    model = model_of(backbone)
    reached = {v.path.partition("_from_task")[0] for v in model.variables if "from_task" in v.path}
    assert reached == {"norm", "high", "top"}
    assert {id(v) for v in backbone.variables} <= {id(v) for v in model.variables}
    assert len(model.tables) == 2


@pytest.mark.parametrize("mode", ["film", "add"])
def test_training_one_task_leaves_every_bit_of_the_others_vector(backbone, rows, labels, mode) -> None:
    model = model_of(backbone, mode=mode)
    labels = labels.copy()
    model.task.adapt(labels)
    labels[:, 1] = np.nan
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    before = [np.array(numpy(table.embeddings.value)) for table in model.tables]
    model.fit(rows[0], labels, epochs=3, batch_size=16, verbose=0)
    after = [numpy(table.embeddings.value) for table in model.tables]
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_a_prompt_is_put_before_the_sequence() -> None:
    backbone = sequence_backbone()
    keras.utils.set_random_seed(1)
    model = kptk.finetune(
        "task_embeddings", backbone, task="several", tasks=TASKS, preprocessor=None, mode="prepend", tokens=2
    )
    ids = np.random.default_rng(0).integers(0, 11, (4, 6)).astype("int32")
    features = numpy(model.encode(ids, False))
    words, memory = backbone.get_layer("words"), backbone.get_layer("memory")
    for index, table in enumerate(model.tables):
        prompt = np.broadcast_to(numpy(table.embeddings.value).reshape(1, 2, 4), (4, 2, 4))
        wanted = numpy(memory(np.concatenate([prompt, numpy(words(ids))], axis=1)))
        np.testing.assert_allclose(features[:, index], wanted, rtol=1e-5, atol=1e-6)
    labels = np.stack([ids[:, 0] % 3, np.full(4, np.nan)], axis=1).astype("float32")
    before = [np.array(numpy(table.embeddings.value)) for table in model.tables]
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    model.fit(ids, labels, epochs=2, batch_size=2, verbose=0)
    assert not np.array_equal(before[0], numpy(model.tables[0].embeddings.value))
    np.testing.assert_array_equal(before[1], numpy(model.tables[1].embeddings.value))


def test_only_what_is_new_trains_if_told_so_and_a_saved_model_predicts_the_same(
    backbone, rows, labels, tmp_path
) -> None:
    from kptk.training.export import deployable

    model = model_of(backbone, train="embeddings")
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    before = [np.array(numpy(v.value)) for v in backbone.weights if "seed" not in v.path]
    model.fit(rows[0], labels, epochs=3, batch_size=16, verbose=0)
    for old, new in zip(before, [v for v in backbone.weights if "seed" not in v.path], strict=True):
        np.testing.assert_array_equal(old, numpy(new.value))
    wanted = numpy(model.predictions(rows[0]))
    model.save(tmp_path / "m.keras")
    loaded = kptk.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_allclose(numpy(loaded.predictions(rows[0])), wanted, rtol=1e-5, atol=1e-5)
    deployable(loaded).save(tmp_path / "plain.keras")
    plain = keras.saving.load_model(tmp_path / "plain.keras")
    assert not any("kptk" in type(layer).__module__ for layer in plain._flatten_layers())
    np.testing.assert_allclose(numpy(plain(rows[0])), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["example_cnn", "mlp", "resnet18", "vit_tiny"])
def test_backbones_of_every_kind_can_be_gated(name) -> None:
    options = {"resnet18": {"width": 4}, "vit_tiny": {"depth": 1}}.get(name, {})
    backbone = kptk.backbone(name, input_shape=(8, 8, 1), **options)
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    before = numpy(backbone(x, training=False))
    features = numpy(model_of(backbone).encode(x, False))
    np.testing.assert_allclose(features, np.stack([before, before], axis=1), rtol=1e-4, atol=1e-5)
    if name == "vit_tiny":
        assert numpy(model_of(backbone, mode="prepend").encode(x, False)).shape == features.shape


def test_what_cannot_be_conditioned_is_refused(backbone) -> None:
    with pytest.raises(kptk.UsageError, match=r"at least two tasks.*classification, which is one"):
        kptk.finetune("task_embeddings", backbone, num_classes=3)
    with pytest.raises(kptk.UsageError, match="returns a sequence"):
        model_of(backbone, mode="prepend")
    with pytest.raises(kptk.UsageError, match="`layers` is 'query'"):
        model_of(backbone, layers="query")
    with pytest.raises(kptk.UsageError, match="mode"):
        model_of(backbone, mode="multiply")
    # A layer behind the sequence that takes one length only.
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(11, 4, name="words")(inputs)
    fixed = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)), name="fixed")
    with pytest.raises(kptk.UsageError, match="Try another mode"):
        kptk.finetune("task_embeddings", fixed, task="several", tasks=TASKS, preprocessor=None, mode="prepend")
