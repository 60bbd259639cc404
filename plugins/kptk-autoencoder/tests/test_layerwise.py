"""Layer-wise pre-training: only the stage's own layer changes, whichever way it is run, and chains are told from others."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

import kptk
from kptk.training import checkpoint
from kptk_autoencoder.chain import find_blocks

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
LAYERS = keras.layers


def numbers(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def dense() -> keras.Model:
    return kptk.backbone("mlp", input_shape=(8, 8, 1), units=6, depth=3, batch_norm=True, activation="sigmoid")


def convolutional() -> keras.Model:
    return kptk.backbone("conv_stack", input_shape=(8, 8, 1), filters=3, depth=2, batch_norm=True)


def mixed() -> keras.Model:
    """As the example CNN, with batch normalisation: a convolution, a dense layer and dropout in both."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            LAYERS.Rescaling(1.0),
            LAYERS.Conv2D(3, 3, use_bias=False),
            LAYERS.BatchNormalization(),
            LAYERS.PReLU(shared_axes=[1, 2]),
            LAYERS.MaxPooling2D(2),
            LAYERS.Dropout(0.2),
            LAYERS.Flatten(),
            LAYERS.Dense(5),
            LAYERS.LayerNormalization(),
            LAYERS.Dropout(0.2),
        ]
    )


BACKBONES = {"dense": (dense, 3), "convolutional": (convolutional, 2), "mixed": (mixed, 2)}


def objective(name: str, **options):
    keras.utils.set_random_seed(0)
    return kptk.objective("layerwise", backbone=BACKBONES[name][0](), decoder_filters=2, **options)


def snapshot(model) -> dict[int, np.ndarray]:
    return {id(weight): numbers(weight).copy() for weight in model.weights}


def changed(model, before: dict[int, np.ndarray]) -> set[int]:
    return {id(weight) for weight in model.weights if not np.array_equal(numbers(weight), before[id(weight)])}


class Watch(keras.callbacks.Callback):
    """Notes which weights each epoch changes, bit for bit, batch-normalisation statistics too."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[tuple[int, set[int]]] = []

    def on_epoch_begin(self, epoch, logs=None) -> None:
        backend.sync_state(self.model)
        self.before = snapshot(self.model)

    def on_epoch_end(self, epoch, logs=None) -> None:
        backend.sync_state(self.model)
        self.epochs.append((self.model.stage, changed(self.model, self.before)))


@pytest.mark.parametrize("name", BACKBONES)
def test_only_the_stages_own_layer_changes(name: str) -> None:
    model = objective(name)
    stages = BACKBONES[name][1]
    assert model.stages == stages
    trainable = [id(weight) for weight in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.AdamW(1e-2, weight_decay=0.1))
    watch = Watch()
    history = model.fit(IMAGES, batch_size=8, epochs=2 * stages, verbose=0, callbacks=[watch])
    assert [stage for stage, _ in watch.epochs] == [stage for stage in range(stages) for _ in range(2)]
    for stage, moved in watch.epochs:
        assert moved == {id(weight) for weight in model.stage_weights(stage)}  # all of its own, and no other
    # Every weight of the backbone had its turn, and is trainable again.
    assert set.union(*(moved for _, moved in watch.epochs)) == set(map(id, model.weights))
    assert [id(weight) for weight in model.trainable_weights] == trainable
    assert model.stage is None
    assert history.epoch == list(range(2 * stages))
    assert len(history.history["loss"]) == 2 * stages


def test_each_stage_has_a_fresh_optimiser_of_the_same_settings() -> None:
    model = objective("dense")
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None) -> None:
            optimizer = self.model.optimizer
            seen.append((optimizer, int(numbers(optimizer.iterations)), float(numbers(optimizer.learning_rate))))
            own = {id(weight) for weight in self.model.stage_weights(self.model.stage)}
            assert {id(weight) for weight in self.model.trainable_weights} <= own

    model.fit(IMAGES, batch_size=8, epochs=4, verbose=0, callbacks=[Look()])
    assert len({id(optimizer) for optimizer, _, _ in seen}) == 3
    assert [(count, round(rate, 6)) for _, count, rate in seen] == [(0, 0.01)] * 3


def test_epochs_are_divided_and_each_stage_gets_one_at_least() -> None:
    model = objective("dense")
    model.compile(optimizer="adam", run_eagerly=True)
    watch = Watch()
    model.fit(IMAGES, None, 24, 7, verbose=0, callbacks=[watch])  # batch size and epochs by position
    assert [stage for stage, _ in watch.epochs] == [0, 0, 1, 1, 2, 2, 2]
    watch = Watch()
    model.fit(IMAGES, batch_size=24, verbose=0, callbacks=[watch])
    assert [stage for stage, _ in watch.epochs] == [0, 1, 2]
    watch = Watch()
    model.fit(IMAGES, batch_size=24, epochs=7, initial_epoch=3, verbose=0, callbacks=[watch])
    assert [stage for stage, _ in watch.epochs] == [1, 2, 2, 2]


def test_an_error_in_a_stage_leaves_everything_trainable() -> None:
    model = objective("dense")
    count = len(model.trainable_weights)
    model.compile(optimizer="adam", run_eagerly=True)

    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        model.fit(IMAGES, batch_size=24, epochs=3, verbose=0, callbacks=[Fail()])
    assert model.stage is None and len(model.trainable_weights) == count


def test_a_finished_layer_hands_on_what_it_gives_at_inference() -> None:
    model = objective("mixed", amount=0.0)
    model.begin_stage(1)
    outputs = model(IMAGES, training=True)
    assert set(outputs) == {"clean1", "raw1"}
    flat = keras.Model(model.backbone.inputs[0], model.backbone.layers[6].output)
    np.testing.assert_allclose(
        numbers(outputs["clean1"]), numbers(flat(IMAGES / np.float32(255), training=False)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_the_loss_of_every_layer_falls_below_chance(name: str) -> None:
    rng = np.random.default_rng(1)
    shades = rng.uniform(0, 1, (64, 2, 2, 1))
    images = (255 * shades.repeat(4, axis=1).repeat(4, axis=2)).astype("uint8")  # four numbers decide 64 pixels
    model = objective(name, amount=0.1)
    model.compile(optimizer=keras.optimizers.Adam(2e-2))
    stages = BACKBONES[name][1]
    loss = model.fit(images, batch_size=32, epochs=30 * stages, verbose=0).history["loss"]
    ends = [loss[30 * stage + 29] for stage in range(stages)]
    assert all(end < 0.99 * model.chance_loss(32) for end in ends), ends
    assert all(end < loss[30 * stage] for stage, end in enumerate(ends))


@pytest.mark.parametrize("step", [1, 3, 4, 5])
def test_resumed_inside_any_stage_is_bit_identical(step: int) -> None:
    """Two stages of three steps: a checkpoint after `step` of them, in a new model, ends in the same bits."""

    def begin(model, stage: int) -> None:
        model.begin_stage(stage)
        model.compile(optimizer=keras.optimizers.Adam(1e-2))
        model.optimizer.build(model.trainable_variables)

    def steps(model, first: int, last: int) -> None:
        for index in range(first, last):
            if index == 3:
                begin(model, 1)
            rows = IMAGES[4 * index : 4 * index + 4]
            model.fit(rows, batch_size=4, verbose=0, shuffle=False)

    whole, half, resumed = (objective("mixed") for _ in range(3))
    for model, last in ((whole, 6), (half, step)):
        keras.utils.set_random_seed(1)  # on PyTorch dropout draws from a state that all models share
        begin(model, 0)
        steps(model, 0, last)
    begin(resumed, (step - 1) // 3)  # the stage of the last step that was made
    checkpoint.restore(resumed, checkpoint.capture(half))
    steps(resumed, step, 6)
    wanted, got = checkpoint.capture(whole), checkpoint.capture(resumed)
    assert set(wanted) == set(got)
    for key in wanted:
        np.testing.assert_array_equal(got[key], wanted[key], err_msg=key)


def test_saved_and_loaded_trains_on(tmp_path) -> None:
    model = objective("dense")
    model.compile(optimizer="adam")
    model.fit(IMAGES, batch_size=8, epochs=3, verbose=0)
    model.save(tmp_path / "whole.keras")
    loaded = kptk.load_model(tmp_path / "whole.keras")
    assert [numbers(w).tolist() for w in loaded.weights] == [numbers(w).tolist() for w in model.weights]
    assert len(loaded.fit(IMAGES, batch_size=8, epochs=3, verbose=0).history["loss"]) == 3
    model.backbone.save(tmp_path / "backbone.keras")
    alone = keras.saving.load_model(tmp_path / "backbone.keras")
    assert len(alone.trainable_weights) == len(model.backbone.trainable_weights) == 9
    np.testing.assert_array_equal(numbers(alone(IMAGES[:2])), numbers(model.backbone(IMAGES[:2])))


def test_pictures_come_back_through_all_decoders() -> None:
    for name, rows in (("dense", 3), ("convolutional", 2), ("mixed", 2)):
        model = objective(name)
        (view,) = model.views(IMAGES[:4])
        made = model.pictures((view,))
        assert list(made) == ["input", "corrupted", *(f"from layer {n + 1}" for n in range(rows))]
        for picture in map(numbers, made.values()):
            assert picture.shape == (4, 8, 8, 1) and picture.min() >= 0 and picture.max() <= 1
    first = objective("dense")
    (view,) = first.views(IMAGES[:4])
    by_hand = first.decoders[0](
        first.backbone.get_layer("activation0")(
            first.backbone.get_layer("norm0")(first.backbone.get_layer("dense0")(ops.reshape(view, (4, 64))))
        )
    )
    np.testing.assert_allclose(
        numbers(first.pictures((view,))["from layer 1"]).reshape(4, 64), numbers(ops.sigmoid(by_hand)), rtol=1e-4
    )


def test_auto_takes_cross_entropy_exactly_where_inputs_are_between_0_and_1() -> None:
    def units(model: keras.Model) -> list[bool]:
        return [block.unit_inputs for block in find_blocks(model)]

    assert units(dense()) == [True, True, True]
    assert units(convolutional()) == [True, False]
    assert units(mixed()) == [False, False]  # Rescaling may do anything
    assert units(kptk.backbone("example_cnn", input_shape=(8, 8, 1))) == [True, False]
    with pytest.raises(kptk.UsageError, match=r"`error` must be 'auto' or 'mse' .* layer conv1 may not be"):
        objective("convolutional", error="cross_entropy")
    with pytest.raises(kptk.UsageError, match=r"`noise` must be one of .* inputs of layer conv1"):
        objective("convolutional", noise="salt_pepper")


def branched() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = LAYERS.Dense(4)(LAYERS.Flatten()(inputs))
    return keras.Model(inputs, LAYERS.Add()([x, LAYERS.Dense(4)(x)]))


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((64,)), LAYERS.Dense(4)])
    return keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Flatten(), LAYERS.Dense(64), inner])


def twice() -> keras.Model:
    inputs, layer = keras.Input((4,)), LAYERS.Dense(4)
    return keras.Model(inputs, layer(layer(inputs)))


def bare_operation() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, ops.relu(LAYERS.Dense(4)(inputs)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = LAYERS.Dense(3)
        self.dense.build((None, 4))
        self.built = True

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (branched, "does not take just what the layer before it gives"),
        (nested, "is a Sequential"),
        (twice, "used twice"),
        (bare_operation, "outside a layer"),
        (Subclassed, "not a functional or Sequential model"),
        (lambda: kptk.backbone("resnet18", input_shape=(8, 8, 1), width=4), "does not take just what"),
        (lambda: keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Flatten()]), "no Dense or Conv2D layer"),
        (
            lambda: keras.Sequential([keras.Input((8,)), LAYERS.BatchNormalization(), LAYERS.Dense(2)]),
            "is a BatchNormalization",
        ),
        (lambda: keras.Sequential([keras.Input((None, None, 1)), LAYERS.Conv2D(2, 3)]), "no fixed size"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value))[:20],
)
def test_other_backbones_are_refused_with_the_reason(build, reason: str) -> None:
    with pytest.raises(kptk.UsageError, match="Dense and Conv2D layers form a chain") as caught:
        kptk.objective("layerwise", backbone=build())
    assert reason in str(caught.value)


def test_a_table_of_numbers_trains_too() -> None:
    keras.utils.set_random_seed(0)
    rows = np.random.default_rng(0).normal(size=(64, 7)).astype("float32")
    net = keras.Sequential([keras.Input((7,)), LAYERS.Dense(5, activation="tanh"), LAYERS.Dense(3, activation="tanh")])
    model = kptk.objective("layerwise", backbone=net, views=None, error="mse")
    model.compile(optimizer=keras.optimizers.Adam(1e-2), run_eagerly=True)
    loss = model.fit(rows, batch_size=32, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(loss).all() and len(loss) == 4
