"""Soft sharing: one kernel and own biases, bit for bit; twins and their distance; what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import kptk
from kptk.cli.main import cli
from kptk.testing.gradients import value_and_gradients
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()
numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor

from kptk_finetune.copies import BIASES, kind_of
from kptk_finetune.twin_networks import weight_distance

TASKS = "shape:3,level:number"


def model_of(strategy: str, backbone, **options):
    keras.utils.set_random_seed(1)
    return kptk.finetune(strategy, backbone, task="several", tasks=TASKS, preprocessor="plain_images", **options)


@pytest.fixture
def labels(rows) -> np.ndarray:
    x, y = rows
    return np.stack([y, x.mean(axis=(1, 2, 3))], axis=1).astype("float32")


def values(model) -> dict[int, np.ndarray]:
    return {id(v): np.array(numpy(v.value)) for v in model.variables}


def test_kernels_are_the_same_variable_and_biases_are_not(backbone) -> None:
    model = model_of("soft_sharing", backbone)
    first, second = model.trunks
    assert first is backbone
    for name in ("low", "high", "top"):
        assert second.get_layer(f"level_{name}")._kernel is first.get_layer(name)._kernel
        assert second.get_layer(f"level_{name}").bias is not first.get_layer(name).bias
    norm, own = first.get_layer("norm"), second.get_layer("level_norm")
    assert own.gamma is norm.gamma and own.beta is not norm.beta
    assert own.moving_mean is not norm.moving_mean
    np.testing.assert_array_equal(numpy(own.moving_mean.value), numpy(norm.moving_mean.value))
    assert len(set(map(id, model.trainable_variables))) == len(model.trainable_variables) == 8 + 4 + 2
    counted = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    biases = 4 + 4 + 6 + 5
    assert counted == sum(int(np.prod(v.shape)) for v in backbone.trainable_variables) + biases + 5 * 4 + 4


def test_it_starts_as_the_backbone_and_each_task_computes_w_x_plus_its_own_bias(backbone, rows) -> None:
    x = rows[0].astype("float32") / 255
    before = numpy(backbone(x, training=False))
    model = model_of("soft_sharing", backbone)
    features = numpy(model.encode(x, False))
    assert features.shape == (48, 2, 5)
    for index in range(2):
        np.testing.assert_allclose(features[:, index], before, rtol=1e-5, atol=1e-6)
    model.trunks[1].get_layer("level_top").bias.assign(np.arange(5, dtype="float32"))
    after = numpy(model.encode(x, False))
    np.testing.assert_allclose(after[:, 0], before, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after[:, 1], before + np.arange(5), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("missing", "other"), [(1, 0), (0, 1)])
def test_training_one_task_leaves_every_bit_of_the_others_biases(backbone, rows, labels, missing, other) -> None:
    model = model_of("soft_sharing", backbone)
    labels = labels.copy()
    model.task.adapt(labels)
    labels[:, missing] = np.nan
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    before = values(model)
    model.fit(rows[0], labels, epochs=2, batch_size=16, verbose=0)
    after = values(model)
    for variable in model.biases(missing):
        np.testing.assert_array_equal(before[id(variable)], after[id(variable)])
    # A bias before normalisation by batch statistics has no gradient but rounding.
    moved = [not np.array_equal(before[id(v)], after[id(v)]) for v in model.biases(other)]
    assert sum(moved) >= len(moved) - 1
    kernel = backbone.get_layer("top")._kernel
    assert not np.array_equal(before[id(kernel)], after[id(kernel)])


def test_gradient_of_a_tasks_loss_for_anothers_bias_is_exactly_zero(backbone, rows, labels) -> None:
    model = model_of("soft_sharing", backbone)
    x = rows[0].astype("float32") / 255
    model.task.adapt(labels)
    labels = labels.copy()
    labels[:, 1] = np.nan
    features = numpy(model.encode(x, False))
    _, (gradient,) = value_and_gradients(
        lambda f: keras.ops.mean(model.task.row_loss(tensor(labels), model.task(f))), features
    )
    assert np.abs(gradient[:, 0]).max() > 0 and not gradient[:, 1].any()


def test_only_biases_and_heads_train_if_told_so(backbone, rows, labels) -> None:
    model = model_of("soft_sharing", backbone, train="biases")
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    before = values(model)
    model.fit(rows[0], labels, epochs=1, batch_size=16, verbose=0)
    after = values(model)
    for trunk in model.trunks:
        for variable in trunk.variables:
            if kind_of(variable) not in BIASES and "seed" not in variable.path:
                np.testing.assert_array_equal(before[id(variable)], after[id(variable)])


@pytest.mark.parametrize("strategy", ["soft_sharing", "twin_networks"])
def test_saved_and_loaded_it_shares_the_same_and_exports_without_kptk(
    strategy, backbone, rows, labels, tmp_path
) -> None:
    from kptk.training.export import deployable

    model = model_of(strategy, backbone)
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    model.fit(rows[0], labels, epochs=1, batch_size=16, verbose=0)
    wanted = numpy(model.predictions(rows[0]))
    model.save(tmp_path / "m.keras")
    loaded = kptk.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_allclose(numpy(loaded.predictions(rows[0])), wanted, rtol=1e-5, atol=1e-6)
    shared = loaded.trunks[0].get_layer("top")._kernel is loaded.trunks[1].get_layer("level_top")._kernel
    assert shared == (strategy == "soft_sharing")
    deployable(loaded).save(tmp_path / "plain.keras")
    plain = keras.saving.load_model(tmp_path / "plain.keras")
    assert not any("kptk" in type(layer).__module__ for layer in plain._flatten_layers())
    np.testing.assert_allclose(numpy(plain(rows[0])), wanted, rtol=1e-5, atol=1e-6)


def test_both_tasks_are_learned(rows, labels) -> None:
    for strategy in ("soft_sharing", "twin_networks"):
        keras.utils.set_random_seed(0)
        small = kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=8, units=32, dropout=0.0)
        model = model_of(strategy, small)
        model.compile(keras.optimizers.Adam(3e-3), metrics=None)
        model.fit(rows[0], labels, epochs=60, batch_size=16, verbose=0)
        scores = model.task.score(labels, numpy(model.predictions(rows[0])))
        assert scores["shape_accuracy"] > 0.8 and scores["level_r2"] > 0.5, (strategy, scores)


@pytest.mark.parametrize("name", ["example_cnn", "mlp", "resnet18", "vit_tiny"])
def test_backbones_of_every_kind_can_be_shared(name) -> None:
    options = {"resnet18": {"width": 4}, "vit_tiny": {"depth": 1}}.get(name, {})
    backbone = kptk.backbone(name, input_shape=(8, 8, 1), **options)
    model = model_of("soft_sharing", backbone)
    shared = {id(v) for v in model.trunks[0].variables} & {id(v) for v in model.trunks[1].variables}
    for variable in backbone.trainable_variables:
        assert (id(variable) in shared) == (kind_of(variable) not in BIASES), variable.path


def test_distance_is_the_sum_of_squares_over_pairs_with_its_gradient() -> None:
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(3, 2, 4)).astype("float32")

    def distance(a, b, c):
        return weight_distance([(a[0], a[1]), (b[0], b[1]), (c[0], c[1])])

    value, gradients = value_and_gradients(distance, *groups)
    wanted = sum(np.square(groups[i] - groups[j]).sum() for i, j in ((0, 1), (0, 2), (1, 2)))
    assert value == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(gradients[0], 2 * (2 * groups[0] - groups[1] - groups[2]), rtol=1e-4, atol=1e-5)


def test_twins_start_as_one_share_nothing_and_the_pull_holds_them_together(backbone, rows, labels) -> None:
    apart = []
    for strength in (0.0, 10.0):
        model = model_of("twin_networks", keras.models.clone_model(backbone), strength=strength)
        assert not {id(v) for v in model.trunks[0].variables} & {id(v) for v in model.trunks[1].variables}
        assert float(numpy(model.distance())) == 0.0
        model.compile(keras.optimizers.SGD(1e-2), metrics=None)
        model.fit(rows[0], labels, epochs=5, batch_size=16, verbose=0)
        apart.append(float(numpy(model.distance())))
    assert apart[0] > 2 * apart[1] > 0


def test_what_cannot_be_shared_is_refused(backbone) -> None:
    for strategy in ("soft_sharing", "twin_networks"):
        with pytest.raises(kptk.UsageError, match=r"at least two tasks.*classification, which is one"):
            kptk.finetune(strategy, backbone, num_classes=3)
        with pytest.raises(kptk.UsageError, match=r"at least two tasks.*several"):
            kptk.finetune(strategy, backbone, task="several", tasks="shape:3")
    bare = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False)])
    with pytest.raises(kptk.UsageError, match="has no biases"):
        model_of("soft_sharing", bare)
    with pytest.raises(kptk.UsageError, match="no option 'strength'"):
        model_of("soft_sharing", backbone, strength=1.0)

    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(keras.ops.reshape(x, (-1, 64)))

    free = Whole()
    free(np.zeros((1, 8, 8, 1), "float32"))
    with pytest.raises((kptk.UsageError, kptk.InputError), match=r"cannot be copied|one input and one output"):
        model_of("soft_sharing", free)


@pytest.mark.parametrize("strategy", ["soft_sharing", "twin_networks", "task_embeddings"])
def test_command_runs_predicts_and_says_what_trained(strategy, backbone, rows, labels, tmp_path) -> None:
    backbone.save(tmp_path / "b.keras")
    given = labels.copy()
    given[::3, 1] = np.nan
    np.savez(tmp_path / "data.npz", x=rows[0], y=given)
    command = ["finetune", str(tmp_path / "b.keras"), "--task", "several", "--data", str(tmp_path / "data.npz")]
    done = CliRunner().invoke(cli, [*command, "--strategy", strategy, "--epochs", "1", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["class_names"] == ["0:3", "1:number"]
    assert summary["phases"][0]["trainable"] > sum(int(np.prod(v.shape)) for v in backbone.trainable_variables)
    out = str(tmp_path / "p.csv")
    done = CliRunner().invoke(cli, ["predict", str(tmp_path / "run"), "--data", str(tmp_path / "data.npz"), "-o", out])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "p.csv").read_text().startswith("row,name,0,0_probability,1")


@pytest.mark.parametrize("strategy", ["soft_sharing", "twin_networks", "task_embeddings"])
def test_one_task_is_refused_before_anything_is_built(strategy, backbone, tmp_path) -> None:
    from kptk.finetuning import resolve_finetune
    from kptk.plugins import Plugins
    from kptk.request import Request

    backbone.save(tmp_path / "b.keras")
    names = {"strategy": strategy, "task": "classification"}
    request = Request(recipe=str(tmp_path / "b.keras"), names=names, data="mnist10k")
    with pytest.raises(kptk.UsageError, match=r"several tasks on the same rows, task .*classification is one"):
        resolve_finetune(Plugins(), request)
