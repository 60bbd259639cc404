"""Receipts say what was transferred; saved models load with installed plugins only."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.data import ArraySource
from kptk.errors import InputError, PluginError
from kptk.training.probes import check_labels, knn_accuracy, labelled_split, linear_accuracy


def net(width: int = 4, name: str = "net", extra: bool = False) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(width, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if extra:
        x = keras.layers.Dense(3, name="head")(x)
    return keras.Model(inputs, x, name=name)


def test_receipt_of_a_whole_transfer() -> None:
    origin, target = net(name="a"), net(name="b")
    receipt = kptk.transfer(origin, target, name="a.keras")
    assert len(receipt.loaded) == 6
    assert receipt.missing == receipt.unused == ()
    assert receipt.frozen == ("norm/moving_mean", "norm/moving_variance")
    assert receipt.before != receipt.after
    assert receipt.parameters == origin.count_params()
    for one, other in zip(origin.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "6 tensors loaded" in str(receipt)
    assert "from a.keras" in str(receipt)


def test_receipt_lists_missing_and_unused() -> None:
    receipt = kptk.transfer(net(), net(extra=True))
    assert receipt.missing == ("head/kernel", "head/bias")
    back = kptk.transfer(net(extra=True), net())
    assert back.unused == ("head/kernel", "head/bias")
    other_width = kptk.transfer(net(extra=True), net(4, extra=True))
    assert other_width.missing == ()


def test_transfer_of_nothing_is_an_error_and_changes_nothing() -> None:
    target = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, name="other")])
    before = target.get_weights()
    with pytest.raises(InputError, match="nothing to transfer"):
        kptk.transfer(net(), target)
    np.testing.assert_array_equal(target.get_weights()[0], before[0])


def pretrainer() -> kptk.Pretrainer:
    views = kptk.preprocessor("image_views", seed=0)
    return kptk.objective("contrastive", backbone=net(), views=views, projection_dim=4, hidden_dim=4)


def test_model_that_needs_a_missing_plugin_says_which(tmp_path, monkeypatch) -> None:
    path = tmp_path / "model.keras"
    pretrainer().save(path)
    changed = tmp_path / "changed.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = content.replace(b"kptk_contrastive", b"kptk_faraway")
            target.writestr(name, content)
    with pytest.raises(PluginError, match=r"kptk_faraway.*kptk plugins install kptk-faraway"):
        kptk.load_model(changed)


def test_a_module_named_in_a_file_is_never_imported(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    marker = tmp_path / "imported"
    (tmp_path / "trap.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    path, changed = tmp_path / "model.keras", tmp_path / "changed.keras"
    pretrainer().save(path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["module"], config["registered_name"], config["class_name"] = "trap", "trap>Trap", "Trap"
                content = json.dumps(config).encode()
            target.writestr(name, content)
    with pytest.raises(PluginError, match="trap"):
        kptk.load_model(changed)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_files_that_are_no_models_are_refused(tmp_path, content) -> None:
    path = tmp_path / "x.keras"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a \.keras file"):
        kptk.load_model(path)
    with pytest.raises(InputError, match="no model file"):
        kptk.load_model(tmp_path / "missing.keras")


def test_optimiser_is_restored(tmp_path) -> None:
    model = pretrainer()
    model.compile(optimizer=keras.optimizers.AdamW(1e-3))
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)).astype("uint8")
    model.fit(images, batch_size=8, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kptk.load_model(tmp_path / "model.keras")
    wanted, got = ([keras.ops.convert_to_numpy(v.value) for v in m.optimizer.variables] for m in (model, again))
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


# Probes -------------------------------------------------------------------------------------------------------------


def blobs(rows: int = 200, classes: int = 4, apart: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    centres = rng.normal(size=(classes, 10)) * apart
    return (centres[y] + rng.normal(size=(rows, 10))).astype("float32"), y


def test_probes_find_what_is_there_and_nothing_else() -> None:
    x, y = blobs()
    assert knn_accuracy(x[:100], y[:100], x[100:], y[100:]) == 1.0
    assert linear_accuracy(x[:100], y[:100], x[100:], y[100:]) == 1.0
    shuffled = np.random.default_rng(1).permutation(y)
    assert knn_accuracy(x[:100], shuffled[:100], x[100:], shuffled[100:]) < 0.5


def test_knn_votes_as_the_formula_says() -> None:
    rng = np.random.default_rng(2)
    train, test = rng.normal(size=(60, 5)), rng.normal(size=(25, 5))
    labels, wanted = rng.integers(0, 3, 60), []
    for row in test:
        cosine = train @ row / np.linalg.norm(train, axis=1) / np.linalg.norm(row)
        nearest = np.argsort(-cosine)[:7]
        votes = [np.exp(cosine[nearest][labels[nearest] == c] / 0.07).sum() for c in range(3)]
        wanted.append(int(np.argmax(votes)))
    assert knn_accuracy(train, labels, test, np.array(wanted), k=7) == 1.0


def test_split_is_stratified_seeded_and_disjoint() -> None:
    x, y = blobs(400)
    source = ArraySource(x, y, inputs="table")
    train, test = labelled_split(source, seed=3)
    assert np.bincount(train.labels).tolist() == np.bincount(test.labels).tolist() == [50] * 4
    rows = [{row.tobytes() for row in part.read(np.arange(len(part)))} for part in (train, test)]
    assert not rows[0] & rows[1]
    again, _ = labelled_split(source, seed=3)
    np.testing.assert_array_equal(train.read(np.arange(200)), again.read(np.arange(200)))
    small, _ = labelled_split(source, seed=3, limit=40)
    assert np.bincount(small.labels).tolist() == [10] * 4


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (None, "needs labels"),
        (np.zeros(20, int), "one class"),
        (np.array([0] * 19 + [1]), "class '1' has one row"),
    ],
)
def test_labels_on_which_a_probe_means_nothing_are_refused(y, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        check_labels(ArraySource(np.zeros((20, 3)), y))


def test_health_and_probe_callbacks_work_in_plain_fit() -> None:
    keras.utils.set_random_seed(0)
    model = kptk.objective("contrastive", backbone=kptk.backbone("example_cnn", input_shape=(28, 28, 1)))
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    source = kptk.dataset("mnist10k")
    images = source.read(np.arange(512))
    callbacks = [kptk.HealthCallback(images), kptk.ProbeCallback(source.holdout(), limit=200)]
    history = model.fit(images, batch_size=128, epochs=2, verbose=0, callbacks=callbacks).history
    assert len(history["feature_spread"]) == len(history["effective_rank"]) == 2
    assert all(0.05 < value < 1.2 for value in history["feature_spread"])
    assert all(0.3 < value <= 1 for value in history["knn_accuracy"])
