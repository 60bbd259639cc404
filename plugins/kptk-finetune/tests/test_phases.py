"""Which tensors change in which phase, bit for bit; what `fit` of arrays and of generators does."""

from __future__ import annotations

import numpy as np
import pytest

import kptk
from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends


class Watch:
    """A Keras callback that copies every variable when a training begins and ends."""

    def __new__(cls, model):
        keras = backend.import_keras()
        copies = []

        def copy():
            backend.sync_state(callback.model)
            copies.append({v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in model.variables})

        callback = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: copy(), on_train_end=lambda logs: copy())
        callback.copies = copies
        return callback


def fitted(backbone, rows, strategy: str, epochs: int, **options):
    keras = backend.import_keras()
    keras.utils.set_random_seed(1)
    model = kptk.finetune(strategy, backbone, num_classes=3, **options)
    model.compile(keras.optimizers.Adam(1e-2))
    watch = Watch(model)
    history = model.fit(*rows, batch_size=16, epochs=epochs, verbose=0, callbacks=[watch])
    return model, watch.copies, history


def changed(before: dict, after: dict) -> set[str]:
    return {path for path in before if not np.array_equal(before[path], after[path]) and "seed" not in path}


HEAD = {"classification/logits/kernel", "classification/logits/bias"}
TRUNK = {f"{layer}/{part}" for layer in ("low", "high", "top") for part in ("kernel", "bias")} | {
    "norm/gamma",
    "norm/beta",
}
STATISTICS = {"norm/moving_mean", "norm/moving_variance"}


def test_lp_ft_trains_the_head_then_everything_in_plain_fit(backbone, rows) -> None:
    _, copies, history = fitted(backbone, rows, "lp-ft", 4)
    assert len(copies) == 4  # begin and end of two phases
    assert changed(copies[0], copies[1]) == HEAD
    assert changed(copies[1], copies[2]) == set()
    # With batch statistics a bias before normalisation has no gradient but rounding.
    assert changed(copies[2], copies[3]) | {"low/bias"} == HEAD | TRUNK | STATISTICS
    assert history.epoch == [0, 1, 2, 3]
    assert len(history.history["loss"]) == len(history.history["accuracy"]) == 4


def test_feature_extraction_leaves_every_bit_of_the_backbone(backbone, rows) -> None:
    _, copies, _ = fitted(backbone, rows, "feature_extraction", 3)
    assert changed(copies[0], copies[1]) == HEAD


def test_gradual_unfreezing_goes_from_the_top_and_keeps_statistics_until_all_train(backbone, rows) -> None:
    model, copies, _ = fitted(backbone, rows, "weight", 5, unfreeze=5)
    assert [phase.name for phase in model.phases()] == [*(f"top {n} of 5" for n in (1, 2, 3, 4)), "all"]
    groups = [
        HEAD,
        {"top/kernel", "top/bias"},
        {"high/kernel", "high/bias"},
        {"norm/gamma", "norm/beta"},
        {"low/kernel", "low/bias"} | STATISTICS,
    ]
    for index in range(5):
        moved = changed(copies[2 * index], copies[2 * index + 1])
        wanted = set().union(*groups[: index + 1])
        assert moved | {"low/bias"} == wanted | {"low/bias"}


def test_cached_features_are_what_the_frozen_backbone_gives(backbone, rows) -> None:
    keras = backend.import_keras()
    model = kptk.finetune("feature_extraction", backbone, num_classes=3)
    features = model.cached_features(rows[0])
    wanted = keras.ops.convert_to_numpy(backbone(rows[0].astype("float32") / 255, training=False))
    np.testing.assert_allclose(features, wanted, rtol=1e-5, atol=1e-6)


def test_a_generator_gets_the_same_phases_without_a_cache(backbone, rows) -> None:
    keras = backend.import_keras()
    model = kptk.finetune("lp-ft", backbone, num_classes=3)
    model.compile(keras.optimizers.Adam(1e-2))
    watch = Watch(model)
    x, y = rows

    def batches():
        while True:
            yield x[:16], y[:16]

    model.fit(batches(), steps_per_epoch=2, epochs=2, verbose=0, callbacks=[watch])
    assert changed(watch.copies[0], watch.copies[1]) == HEAD
    assert "low/kernel" in changed(watch.copies[2], watch.copies[3])


def test_layer_rates_reach_the_weights(backbone, rows) -> None:
    keras = backend.import_keras()
    model = kptk.finetune("weight", backbone, num_classes=3, decay=2.0)
    assert [model.factors()[f"{layer}/kernel"] for layer in ("low", "high", "top")] == [0.125, 0.5, 1.0]
    assert model.factors()["classification/logits/kernel"] == 1.0
    start = {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in model.tunable}
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(*rows, batch_size=48, epochs=1, verbose=0)
    for path, rate in (("low/kernel", 0.125), ("high/kernel", 0.5), ("top/kernel", 1.0)):
        variable = next(v for v in model.tunable if v.path == path)
        # Adam's first step is its learning rate in every weight that has a gradient.
        step = np.abs(keras.ops.convert_to_numpy(variable.value) - start[path]).max()
        assert step == pytest.approx(1e-3 * rate, rel=1e-3)


def test_fewer_epochs_than_phases_make_one_of_each(backbone, rows) -> None:
    _, copies, history = fitted(backbone, rows, "lp-ft", 1)
    assert len(copies) == 4
    assert history.epoch == [0, 1]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([0, 1, 3] * 16), "class numbers must be 0..2"),
        (np.array([0.0, 1.0, np.nan] * 16), "with NaN"),
        (np.full(48, -1), "every label is missing"),
        (np.zeros((48, 3)), "one class number a row"),
        (np.arange(47) % 3, "48 rows but y has 47"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(backbone, rows, labels, sentence) -> None:
    model = kptk.finetune("lp-ft", backbone, num_classes=3)
    model.compile("adam")
    with pytest.raises(InputError, match=sentence):
        model.fit(rows[0], labels, verbose=0)


def test_wrong_wishes_are_refused(backbone, rows) -> None:
    keras = backend.import_keras()
    with pytest.raises(UsageError, match="num_classes"):
        kptk.finetune("lp-ft", backbone)
    with pytest.raises(UsageError, match="no option 'heat'"):
        kptk.finetune("lp-ft", backbone, num_classes=3, heat=1)
    with pytest.raises(UsageError, match="Did you mean 'lp_ft'"):
        kptk.finetune("lp_fit", backbone, num_classes=3)
    model = kptk.finetune("lp-ft", backbone, num_classes=3)
    with pytest.raises(UsageError, match="compile"):
        model.fit(*rows)
    with pytest.raises(UsageError, match="brings its own"):
        model.compile("adam", loss="mse")
    empty = keras.Sequential([keras.Input((8,)), keras.layers.ReLU()])
    with pytest.raises(InputError, match="no weights, so there is nothing to transfer"):
        kptk.finetune("lp-ft", empty, num_classes=3)
