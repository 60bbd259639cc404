"""Domain adaptation: formulas against other programs' numbers, the mixture of rows, what trains, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

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

from kptk_finetune.coral import coral_loss, covariance
from kptk_finetune.dann import AnnealedRate, reversed_gradient
from kptk_finetune.domain import reversal_strength
from kptk_finetune.mixed import Mixed
from kptk_finetune.mmd import squared_mmd

ORACLES = Path(__file__).parent / "data" / "finetune_oracles.npz"
STRATEGIES = ("dann", "coral", "mmd")


def case(name: str) -> tuple[dict, dict, dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        meta = next(item for item in json.loads(str(arrays["meta"])) if item["id"] == name)
        parts = [
            {key.split("|")[2]: arrays[key] for key in arrays.files if key.startswith(f"{name}|{side}|")}
            for side in ("in", "out")
        ]
    return meta["params"], parts[0], parts[1]


def both(inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Source and target rows in one batch, in a mixed order, and which ones are the target's."""
    rows = np.concatenate([inputs["source"], inputs["target"]]).astype("float32")
    of_target = np.repeat([0.0, 1.0], [len(inputs["source"]), len(inputs["target"])]).astype("float32")
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order], of_target[order]


def test_strength_and_learning_rate_are_the_papers() -> None:
    params, inputs, outputs = case("dann_schedules")
    got = [float(numpy(reversal_strength(p))) for p in inputs["p"].astype("float32")]
    np.testing.assert_allclose(got, outputs["lambda_p"], rtol=1e-4, atol=1e-6)
    rate = AnnealedRate(params["mu0"], 1000)
    got = [float(numpy(rate(round(1000 * p)))) for p in inputs["p"]]
    np.testing.assert_allclose(got, outputs["mu_p"], rtol=1e-5)
    assert AnnealedRate.from_config(rate.get_config()).get_config() == rate.get_config()


def test_the_gradient_is_reversed_and_the_value_is_not() -> None:
    x = np.array([0.5, -2.0, 3.0], "float32")
    value, (gradient,) = value_and_gradients(lambda x: keras.ops.sum(keras.ops.square(reversed_gradient(x, 0.3))), x)
    assert value == pytest.approx(np.square(x).sum(), rel=1e-6)
    np.testing.assert_allclose(gradient, -0.3 * 2 * x, rtol=1e-5)


def test_coral_and_mmd_equal_other_programs() -> None:
    params, inputs, outputs = case("coral_mmd")
    rows, of_target = both(inputs)
    rows, of_target = tensor(rows), tensor(of_target)
    assert float(numpy(coral_loss(rows, of_target))) == pytest.approx(float(outputs["coral"]), rel=1e-4)
    assert float(numpy(squared_mmd(rows, of_target, params["gamma"]))) == pytest.approx(
        float(outputs["mmd2"]), rel=1e-4
    )
    np.testing.assert_allclose(
        numpy(covariance(rows, of_target)), np.cov(inputs["target"], rowvar=False), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["coral", "mmd"])
def test_gradients_of_the_distances_are_those_of_differences(name) -> None:
    _, inputs, _ = case("coral_mmd")
    rows, of_target = both(inputs)
    loss = coral_loss if name == "coral" else lambda f, t: squared_mmd(f, t, 1.0)

    def reference(rows: np.ndarray) -> float:
        s, t = rows[of_target == 0], rows[of_target == 1]
        if name == "coral":
            return float(np.square(np.cov(s, rowvar=False) - np.cov(t, rowvar=False)).sum() / (4 * rows.shape[1] ** 2))
        kernel = lambda a, b: np.exp(-np.square(a[:, None] - b[None]).sum(-1)).mean()  # noqa: E731
        return float(kernel(s, s) - 2 * kernel(s, t) + kernel(t, t))

    _, (gradient,) = value_and_gradients(lambda f: loss(f, tensor(of_target)), rows)
    step = 1e-5
    for place in ((0, 0), (3, 2), (20, 4)):
        moved = [rows.astype("float64") for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        wanted = (reference(moved[0]) - reference(moved[1])) / (2 * step)
        assert gradient[place] == pytest.approx(wanted, rel=2e-3, abs=1e-6)


def test_rows_are_mixed_half_and_half_and_the_targets_have_no_label() -> None:
    source = kptk.ArraySource(np.arange(3, dtype="uint8")[:, None])
    target = kptk.ArraySource(np.arange(100, 105, dtype="uint8")[:, None])
    mixed = Mixed(source, target)
    assert len(mixed) == 10
    assert mixed.read(np.arange(10)).ravel().tolist() == [0, 100, 1, 101, 2, 102, 0, 103, 1, 104]
    assert mixed.read(np.array([4, 3])).ravel().tolist() == [2, 101]
    assert mixed.mixed_labels(np.array([7, 8, 9])).tolist() == [7, -1, 8, -1, 9, -1, 7, -1, 8, -1]
    numbers = mixed.mixed_labels(np.array([[0.5], [1.5], [2.5]]))
    assert np.isnan(numbers[1::2]).all() and numbers[::2, 0].tolist() == [0.5, 1.5, 2.5, 0.5, 1.5]


def two_domains() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The left half of a row tells its class, the right half its domain."""
    rng = np.random.default_rng(0)
    y = np.arange(96) % 3
    x = rng.integers(0, 60, (96, 8, 8, 1))
    x[:, :, :4] += 70 * y[:, None, None, None]
    target = x[::-1].copy()
    target[:, :, 4:] += 150
    return x.astype("uint8"), y, target.astype("uint8")


@pytest.mark.parametrize(("strategy", "weight"), [("dann", 1.0), ("coral", 1000.0), ("mmd", 1.0)])
def test_labels_of_one_domain_are_learned_for_the_other(strategy, weight) -> None:
    x, y, target = two_domains()
    reached, apart = [], []
    for strength in (0.0, weight):
        keras.utils.set_random_seed(2)
        small = kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=8, units=32, dropout=0.0)
        model = kptk.finetune(
            strategy, small, num_classes=3, preprocessor="plain_images", target=target, weight=strength
        )
        model.compile(keras.optimizers.Adam(1e-3))
        history = model.fit(x, y, epochs=80, batch_size=48, verbose=0)
        assert len(history.history["accuracy"]) == 80
        assert float(numpy(model.step.value)) == 80 * 4  # an epoch is 96 rows of each domain
        assert (numpy(model.predictions(x)).argmax(1) == y).mean() > 0.9
        reached.append((numpy(model.predictions(target)).argmax(1) == y[::-1]).mean())
        features = np.concatenate([model.cached_features(part) for part in (x, target)])
        of_target = tensor(np.repeat([0.0, 1.0], len(x)).astype("float32"))
        apart.append(float(numpy(coral_loss(tensor(features), of_target))))
    # Covariances say nothing of the mean, in which these domains differ most: CORAL is judged by what it brings down.
    assert apart[1] < 0.1 * apart[0] if strategy == "coral" else reached[1] > reached[0] + 0.2, (reached, apart)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_without_labels_are_the_target_and_a_saved_model_serves_without_them(
    strategy, backbone, rows, tmp_path
) -> None:
    x, y = rows
    y = np.where(np.arange(len(y)) % 2, -1, y)
    model = kptk.finetune(strategy, backbone, num_classes=3, preprocessor="plain_images")
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = kptk.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_allclose(numpy(loaded.predictions(x)), numpy(model.predictions(x)), rtol=1e-5, atol=1e-6)
    assert (tmp_path / "m.keras").stat().st_size < 400_000


def test_the_head_learns_nothing_of_rows_without_labels(backbone, rows) -> None:
    x, _ = rows
    model = kptk.finetune("dann", backbone, num_classes=3, preprocessor="plain_images")
    model.begin(model.phases()[0], 10) if model._state.arguments else model.compile("adam")
    outputs, features = model(x, training=True)
    wanted = float(numpy(model.task.loss(np.full(len(x), -1), outputs)))
    assert wanted == 0.0
    assert features.shape == (48, 5)


def test_numbers_can_be_learned_where_they_may_be_missing(backbone, rows) -> None:
    x, _ = rows
    levels = x.mean(axis=(1, 2, 3), keepdims=True).reshape(-1, 1).astype("float32")
    options = {"preprocessor": "plain_images", "target": 255 - x}
    model = kptk.finetune("coral", backbone, task="several", tasks="level:number", **options)
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    history = model.fit(x, levels, epochs=4, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model = kptk.finetune("coral", backbone, task="regression", **options)
    model.compile("adam", metrics=None)
    with pytest.raises(kptk.UsageError, match=r"regression cannot leave a label out.*several"):
        model.fit(x, levels, verbose=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_cannot_be_a_target_is_refused(strategy, backbone, rows) -> None:
    x, y = rows

    def fit(**options):
        model = kptk.finetune(strategy, backbone, num_classes=3, preprocessor="plain_images", **options)
        model.compile("adam", metrics=None)
        model.fit(x, y, verbose=0)

    with pytest.raises(kptk.UsageError, match="no rows of the target domain"):
        fit()
    with pytest.raises(kptk.InputError, match="Received: 9 x 9 x 1 for 8 x 8 x 1"):
        fit(target=np.zeros((5, 9, 9, 1), "uint8"))
    with pytest.raises(kptk.InputError, match="are float32, those that are learned from uint8"):
        fit(target=np.zeros((5, 8, 8, 1), "float32"))
    with pytest.raises(kptk.InputError, match="no rows of the target domain"):
        fit(target=np.zeros((0, 8, 8, 1), "uint8"))
    with pytest.raises(kptk.InputError, match="nowhere"):
        fit(target="nowhere.npz")
    with pytest.raises(kptk.UsageError, match="no option 'goal'"):
        fit(goal=x)
    model = kptk.finetune(strategy, backbone, num_classes=3, preprocessor="plain_images")
    model.compile("adam", metrics=None)
    with pytest.raises(kptk.UsageError, match="steps_per_epoch"):
        model.fit(iter([(x, y)]), verbose=0)
    mixed = Mixed(kptk.ArraySource(np.zeros((2, 3), "float32")), kptk.ArraySource(np.full((2, 3), np.nan, "float32")))
    with pytest.raises(kptk.InputError, match="NaN or infinity"):
        mixed.read(np.arange(2))


class Killed(Exception):
    pass


@pytest.fixture
def files(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.integers(0, 100, (60, 8, 8, 1)) + 120 * y[:, None, None, None]).astype("uint8")
    np.savez(tmp_path / "source.npz", x=x, y=y)
    np.savez(tmp_path / "target.npz", x=255 - x[:20])
    np.savez(tmp_path / "other.npz", x=np.zeros((4, 9, 9, 1), "uint8"))
    keras.utils.set_random_seed(0)
    kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=4, units=8).save(tmp_path / "b.keras")
    return tmp_path


def run(files: Path, *words: str, out: str = "run"):
    command = ["finetune", str(files / "b.keras"), "--task", "classification", "--data", str(files / "source.npz")]
    return CliRunner().invoke(cli, [*command, "--strategy", "dann", "--epochs", "3", "--out", str(files / out), *words])


def test_command_adapts_and_goes_on_to_the_same_bits_and_not_with_another_target(files, monkeypatch) -> None:
    target = ("-o", f"strategy.target={files / 'target.npz'}")
    done = run(files, *target)
    assert done.exit_code == 0, done.output
    assert "mixed with" in done.stdout
    whole = json.loads((files / "run" / "summary.json").read_text())
    assert whole["status"] == "done" and whole["rows"]["train"] == 48
    from kptk.training.callbacks import ShowProgress

    step = ShowProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        step(self, batch, logs)
        if self.step == 5:  # in the second epoch
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ShowProgress, "on_train_batch_end", on_train_batch_end)
        assert isinstance(run(files, *target, "-o", "checkpoint_every=2", out="again").exception, Killed)
    kept = (files / "target.npz").read_bytes()
    np.savez(files / "target.npz", x=np.zeros((20, 8, 8, 1), "uint8"))
    refused = CliRunner().invoke(cli, ["finetune", "--resume", str(files / "again")])
    assert refused.exit_code == 2 and "the target's data of" in refused.stderr
    (files / "target.npz").write_bytes(kept)
    resumed = CliRunner().invoke(cli, ["finetune", "--resume", str(files / "again")])
    assert resumed.exit_code == 0, resumed.output
    ended = json.loads((files / "again" / "summary.json").read_text())
    for key in ("checksum", "loss", "first_loss", "best_epoch", "steps"):
        assert ended[key] == whole[key], key


@pytest.mark.parametrize(
    ("target", "message"),
    [("", "needs its option 'target'"), ("other.npz", "takes rows of 8 x 8 x 1"), ("none.npz", "none.npz")],
)
def test_command_refuses_before_anything_is_written(files, target, message) -> None:
    words = ("-o", f"strategy.target={files / target}") if target else ()
    refused = run(files, *words)
    assert refused.exit_code == 2, refused.output
    assert message in refused.stderr
    assert not (files / "run").exists()
