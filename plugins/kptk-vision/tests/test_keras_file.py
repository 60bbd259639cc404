"""A user's own model as backbone: by the command line, TOML and Python; and what is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk import assembly, spellings
from kptk.config import resolve
from kptk.request import Request, Setting, from_toml


@keras.saving.register_keras_serializable(package="a_users")
class Subclassed(keras.Model):
    def __init__(self, units: int = 6, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.conv = keras.layers.Conv2D(4, 3, strides=2, activation="relu")
        self.dense = keras.layers.Dense(units)

    def call(self, inputs, training=False):
        return self.dense(keras.ops.mean(self.conv(inputs), axis=(1, 2)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def functional(shape=(28, 28, 1)):
    inputs = keras.Input(shape)
    x = inputs
    for filters in (4, 8, 8):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="average")(x), name="mine")


def sequential():
    layers = keras.layers
    return keras.Sequential([keras.Input((28, 28, 1)), layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(6)])


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 28, 28, 1), "float32"))
    return model


def classifier():
    body = functional()
    return keras.Model(body.inputs, keras.layers.Dense(10, activation="softmax", name="head")(body.outputs[0]))


MAKERS = {"functional": functional, "sequential": sequential, "subclassed": subclassed}


@pytest.fixture
def saved(tmp_path):
    def save(model, name="my_model.keras"):
        model.save(tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.mark.parametrize("kind", MAKERS)
def test_any_model_is_pretrained_by_plain_fit(kind, tmp_path) -> None:
    backbone = MAKERS[kind]()
    before = [weights.copy() for weights in backbone.get_weights()]
    model = kptk.objective("contrastive", backbone=backbone)
    model.compile(optimizer="adam")
    images = np.random.default_rng(0).integers(0, 256, (32, 28, 28, 1)).astype("uint8")
    history = model.fit(images, batch_size=16, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(not np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True))
    model.save(tmp_path / "pretrainer.keras")
    loaded = keras.saving.load_model(tmp_path / "pretrainer.keras").backbone
    probe = images[:2].astype("float32") / 255
    want, got = (keras.ops.convert_to_numpy(item(probe, training=False)) for item in (backbone, loaded))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_gives_the_model_with_its_weights(kind, saved) -> None:
    model = MAKERS[kind]()
    loaded = kptk.backbone(saved(model), input_shape=(28, 28, 1))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


def test_an_unbuilt_model_is_refused() -> None:
    with pytest.raises(kptk.UsageError, match="has no weights yet, since it has not seen an input"):
        kptk.objective("contrastive", backbone=Subclassed())
    with pytest.raises(kptk.UsageError, match="has no weights yet"):
        kptk.objective("contrastive", backbone=keras.Sequential([keras.layers.Dense(3)]))


def test_the_three_spellings_name_the_file(saved, tmp_path, monkeypatch) -> None:
    file = saved(functional())
    plugins = kptk.Plugins()
    named = resolve(plugins, Request(recipe="contrastive", names={"backbone": file}))
    assembly.check(named)
    assert named.backbone.id == "vision/keras_file"
    assert f"--backbone {file}" in spellings.to_command(plugins, named)
    assert f"backbone={file!r}" in spellings.to_python(plugins, named)
    (tmp_path / "run.toml").write_text(spellings.to_toml(named))
    assert resolve(plugins, from_toml(tmp_path / "run.toml")) == named
    (tmp_path / "short.toml").write_text(f'recipe = "contrastive"\n[backbone]\nname = "{file}"\n')
    assert resolve(plugins, from_toml(tmp_path / "short.toml")) == named
    monkeypatch.chdir(tmp_path)
    relative = (Setting("backbone.path", "my_model.keras"),)
    settings = resolve(plugins, Request(recipe="contrastive", names={"backbone": "keras_file"}, settings=relative))
    assert settings == named


def test_a_run_trains_the_file_and_is_judged_beside_fresh_weights(saved, tmp_path) -> None:
    from kptk.training.encoder import TrainedEncoder

    original = functional()
    original.set_weights([np.full_like(w, 0.25) if w.ndim == 4 else w for w in original.get_weights()])
    file = saved(original)
    result = kptk.train(
        "contrastive",
        backbone=file,
        out=tmp_path / "run",
        epochs=1,
        batch_size=32,
        options={"data.limit": 64, "train.learning_rate": 1e-6, "probe.data": ""},
    )
    (tmp_path / "my_model.keras").unlink()  # a finished run needs the file no more
    encoder = TrainedEncoder(result.folder)
    trained = encoder.backbone.get_weights()
    assert np.allclose(trained[0], 0.25, atol=1e-3)
    assert not np.array_equal(trained[0], original.get_weights()[0])
    first, again, other = (encoder.random(seed).backbone.get_weights() for seed in (1, 1, 2))
    for weights, same, different in zip(first, again, other, strict=True):
        assert np.array_equal(weights, same)
        if weights.ndim == 4:
            assert not np.array_equal(weights, different)
            assert not np.isclose(weights, 0.25, atol=1e-3).all()


def refused(path, shape=(28, 28, 1), **options) -> str:
    with pytest.raises(kptk.UsageError) as caught:
        kptk.backbone(path, input_shape=shape, **options)
    return str(caught.value)


def test_files_that_are_no_models_are_refused(tmp_path) -> None:
    assert "there is no such file" in refused(str(tmp_path / "none.keras"))
    (tmp_path / "text.keras").write_text("not a model")
    assert "is not a .keras file" in refused(str(tmp_path / "text.keras"))
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("other.txt", "")
    assert "is not a .keras file" in refused(str(tmp_path / "zip.keras"))
    (tmp_path / "folder.keras").mkdir()
    assert "it is a folder" in refused(str(tmp_path / "folder.keras"))
    for name in ("weights.h5", "saved_model/", "./model"):
        message = refused(name)
        assert "is not a model file that can be a backbone. Readable: .keras" in message
        assert "model.save('NAME.keras')" in message


def test_a_run_without_the_file_is_refused_before_keras(tmp_path) -> None:
    plugins = kptk.Plugins()
    config = resolve(plugins, Request(recipe="contrastive", names={"backbone": "keras_file"}))
    with pytest.raises(kptk.UsageError, match="loads a model file and none was named"):
        assembly.check(config)
    gone = (Setting("backbone.path", str(tmp_path / "gone.keras")),)
    config = resolve(plugins, Request(recipe="contrastive", names={"backbone": "keras_file"}, settings=gone))
    with pytest.raises(kptk.UsageError, match="there is no such file"):
        assembly.check(config)


def test_code_in_a_file_is_refused(saved) -> None:
    inputs = keras.Input((28, 28, 1))
    file = saved(keras.Model(inputs, keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(inputs))))
    assert "holds a Lambda layer: code in a file, which is not run" in refused(file)


def test_a_class_of_the_users_own_that_is_not_there_is_named(saved) -> None:
    @keras.saving.register_keras_serializable()
    class Mine(Subclassed):
        pass

    model = Mine()
    model(np.zeros((1, 28, 28, 1), "float32"))
    file = saved(model)
    assert kptk.backbone(file, input_shape=(28, 28, 1)).units == 6
    keras.saving.get_custom_objects().pop("Custom>Mine")
    message = refused(file)
    assert "holds classes of your own (Mine)" in message
    assert "import them first" in message


def test_other_inputs_are_refused_with_both_shapes(saved) -> None:
    file = saved(functional((32, 32, 3)))
    assert "takes inputs of 32 x 32 x 3, the run gives 28 x 28 x 3" in refused(file, (28, 28, 3))
    assert "-o preprocessor.size=32" in refused(file, (28, 28, 3))
    assert "-o data.channels=3" in refused(file, (32, 32, 1))
    flat = saved(keras.Sequential([keras.Input((784,)), keras.layers.Dense(4)]), "flat.keras")
    assert "takes inputs of 784, the run gives 28 x 28 x 1" in refused(flat)


def test_several_inputs_or_outputs_are_refused(saved) -> None:
    first, second = keras.Input((4,)), keras.Input((4,))
    total = keras.layers.Add()([first, second])
    assert "must take one input" in refused(saved(keras.Model([first, second], total)), (4,))
    assert "must return one tensor" in refused(saved(keras.Model(first, [first, first * 2])), (4,))


def test_a_classifier_is_refused_and_can_be_cut(saved) -> None:
    file = saved(classifier())
    message = refused(file)
    assert "its 10 outputs are probabilities, not features" in message
    assert "-o backbone.layer=average" in message
    assert kptk.backbone(file, input_shape=(28, 28, 1), layer="average").output_shape == (None, 8)
    assert "has no layer 'nowhere'; its last ones are:" in refused(file, layer="nowhere")


def test_free_sizes_are_taken(saved) -> None:
    file = saved(functional((None, None, 1)))
    assert kptk.backbone(file, input_shape=(20, 30, 1)).output_shape == (None, 8)


def test_a_map_serves_a_vector_objective_and_not_a_sequence_one(saved) -> None:
    body = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(5, 3, strides=4)])
    file = saved(body)
    config = resolve(kptk.Plugins(), Request(recipe="contrastive", names={"backbone": file}))
    from kptk.training import assemble

    model = assemble.build_model(config, kptk.ArraySource(np.zeros((4, 28, 28, 1), "uint8")))
    assert model.feature_dim == 5
    from dataclasses import replace

    offer = config.objective.offer
    picky = replace(config.objective, offer=replace(offer, spec=replace(offer.spec, features="sequence")))
    with pytest.raises(kptk.UsageError, match="needs a backbone that returns a sequence"):
        assemble.build_model(replace(config, objective=picky), kptk.ArraySource(np.zeros((4, 28, 28, 1), "uint8")))
