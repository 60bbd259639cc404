"""The main job and what follows it, from the command line, on real digits: train, evaluate, embed, and bad wishes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from kptk.testing.fresh import run_warm

pytestmark = pytest.mark.backends

QUICK = ("--epochs", "2", "--limit", "1024", "--batch-size", "128")


@pytest.fixture(scope="module")
def kptk():
    def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return run_warm("kptk", *arguments, **options)

    return run


@pytest.fixture(scope="module")
def run(kptk, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    done = kptk("train", "--plugin", "contrastive", *QUICK, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout), done.stderr


def test_run_folder_is_complete(run) -> None:
    out, summary, _ = run
    wanted = {
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "summary.json",
        "backbone.keras",
        "pretrainer.keras",
    }
    assert wanted | {"report.html", "checkpoints"} == {entry.name for entry in out.iterdir()}
    assert summary["status"] == "healthy"
    assert summary["epochs"] == 2
    assert summary["loss"] < summary["first_loss"]
    assert summary["knn_accuracy"] > 0.5
    environment = json.loads((out / "environment.json").read_text())
    assert environment["data"]["rows"] == 1024
    assert environment["plugins"]["objective"]["id"] == "contrastive/contrastive"


def test_everything_for_people_went_to_stderr_beside_json(run) -> None:
    _, summary, said = run
    assert summary["verdict"] in said
    assert "epoch 2/2" in said
    assert "Plan: 692,672 parameters in the backbone" in said


def test_plain_lines_in_a_pipe_have_no_control_characters(run) -> None:
    assert "\x1b" not in run[2]
    assert "\r" not in run[2]


def test_evaluate_judges_three_encoders_with_intervals(kptk, run) -> None:
    done = kptk("evaluate", str(run[0]), "--data", "mnist10k", "--limit", "600", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    quick = ("knn", "linear", "few-label", "retrieval", "rank", "alignment")
    assert {(r["protocol"], r["encoder"]) for r in found["results"]} == {
        (protocol, encoder) for protocol in quick for encoder in ("run", "random", "raw")
    }
    for result in found["results"]:
        assert result["low"] <= result["value"] <= result["high"]
        assert result["words"]
        assert result["seed"] == 0
        if result["protocol"] in ("knn", "linear"):
            assert result["metric"] == "accuracy"
            assert 0.5 < result["value"] <= 1
            assert (result["train"], result["test"]) == (600, 600)
        assert result["k"] == (20 if result["protocol"] == "knn" else None)
    # The run learned from 1,024 of the 8,000 rows that the probe's 600 are drawn from; the test part is another.
    assert 0 < found["overlap"]["train"] < 600
    assert found["overlap"]["test"] == found["overlap"]["between"] == 0
    kept = json.loads((run[0] / "evaluations.json").read_text())["mnist10k"]
    assert len(kept["results"]) == len(found["results"])


def test_evaluate_splits_data_without_a_test_part(kptk, run, tmp_path) -> None:
    import kptk as library

    source = library.dataset("mnist10k")
    rows = np.arange(300)
    np.savez(tmp_path / "mine.npz", x=source.read(rows), y=source.labels[rows])
    done = kptk("evaluate", str(run[0]), "--data", str(tmp_path / "mine.npz"))
    assert done.returncode == 0, done.stderr
    assert "150 test rows, 150 labelled rows to learn from" in done.stdout
    assert "95 % interval" in done.stdout and "linear probe" in done.stdout and "uniformity" in done.stdout


def test_embed_writes_both_formats_with_the_same_numbers(kptk, run, tmp_path) -> None:
    from pyarrow import parquet

    import kptk as library

    source = library.dataset("mnist10k")
    np.savez(tmp_path / "mine.npz", x=source.read(np.arange(70)), y=source.labels[:70])
    for name in ("out.npz", "out.parquet"):
        done = kptk("embed", str(run[0]), "--data", str(tmp_path / "mine.npz"), "-o", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        features, labels = arrays["features"], arrays["labels"]
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert features.shape == (70, 128)
    np.testing.assert_array_equal(np.array(table["features"], dtype="float32"), features)
    assert table["label"] == [str(label) for label in labels]


def test_saved_backbone_gives_the_embedded_features(run, kptk, tmp_path) -> None:
    from kptk.training import backend

    keras = backend.import_keras()
    import kptk as library

    images = library.dataset("mnist10k").read(np.arange(20))
    np.save(tmp_path / "mine.npy", images)
    assert (
        kptk("embed", str(run[0]), "--data", str(tmp_path / "mine.npy"), "-o", str(tmp_path / "f.npz")).returncode == 0
    )
    backbone = keras.saving.load_model(run[0] / "backbone.keras")
    features = keras.ops.convert_to_numpy(backbone(images.astype("float32") / 255, training=False))
    with np.load(tmp_path / "f.npz") as arrays:
        np.testing.assert_allclose(arrays["features"], features, rtol=1e-4, atol=1e-5)


def test_whole_pretrainer_loads_and_trains_on(run) -> None:
    from kptk.training import backend

    backend.import_keras()
    import kptk as library

    model = library.load_model(run[0] / "pretrainer.keras")
    images = library.dataset("mnist10k").read(np.arange(128))
    history = model.fit(images, batch_size=64, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_same_command_gives_the_same_weights(run, kptk, tmp_path) -> None:
    out = tmp_path / "again"
    assert kptk("train", "--config", str(run[0] / "config.toml"), "--out", str(out), "--quiet").returncode == 0
    again = json.loads((out / "summary.json").read_text())
    assert again["backbone_checksum"] == run[1]["backbone_checksum"]


def test_dry_run_prints_configuration_and_plan_and_writes_nothing(kptk, tmp_path) -> None:
    done = kptk("train", "--plugin", "contrastive", *QUICK, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "temperature = 0.5" in done.stdout
    assert "16 steps of" in done.stdout
    assert "memory" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["toml", "cli", "python"])
def test_print_config_needs_no_run(kptk, form) -> None:
    done = kptk("train", "--plugin", "contrastive", "-o", "temperature=0.3", "--print-config", form)
    assert done.returncode == 0, done.stderr
    assert "0.3" in done.stdout


# Strong decay shrinks every weight at once: what is left says nothing about the input.
SHRINKING = (
    *("-o", "train.learning_rate=1", "-o", "weight_decay=0.99", "-o", "optimizer=sgd", "-o", "train.warmup=0"),
    *("-o", "schedule=constant", "-o", "batch_norm=false"),
)


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        (("-o", "train.learning_rate=0", "-o", "weight_decay=0"), "not learning"),
        (("-o", "train.learning_rate=1e12", "-o", "train.warmup=0"), "diverged|collapsed"),
        (SHRINKING, "collapsed"),
    ],
)
def test_sick_runs_are_named(kptk, tmp_path, setting, status) -> None:
    out = tmp_path / "run"
    done = kptk("train", "--plugin", "contrastive", *QUICK, "--out", str(out), "--json", *setting)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] in status.split("|")
    assert (out / "report.html").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("train", "--plugin", "contrastive", "--out", "{run}"), 2, "already holds a run"),
        (("train", "--resume", "{run}"), 2, "is complete"),
        (("train", "--resume", "{run}", "--epochs", "9"), 2, "Leave out: --epochs"),
        (("train", "--plugin", "contrastive", "--limit", "100"), 2, "fewer than one batch of 256"),
        (("train", "--plugin", "contrastive", "--out", "/proc/kptk/run"), 1, "cannot write to /proc"),
        (("evaluate", "{run}", "--data", "{flat}"), 2, "a probe needs labels"),
        (("evaluate", "{run}", "--data", "{other}"), 2, "the model takes rows of 28 x 28 x 1"),
        (("evaluate", "{run}", "--data", "{one}"), 2, "all rows have one class"),
        (("evaluate", "{run}", "--data", "mnist10k", "--k", "0"), 2, "`k` must be at least 1"),
        (("evaluate", "{run}", "--data", "mnist10k", "--k", "9999"), 2, "at most the number of training rows, 5,000"),
        (("evaluate", "{run}", "--data", "mnist10k", "--protocols", "knm"), 2, "Did you mean 'knn'?"),
        (("evaluate", "{run}", "--data", "mnist10k", "--labels-per-class", "1,x"), 2, "takes whole numbers"),
        (("evaluate", "{run}", "--data", "mnist10k", "--labels-per-class", "9999"), 2, "Received: 9999"),
        (("evaluate", "{run}", "--data", "mnist10k", "--protocols", "corruptions", "--corruptions", "fog"), 2, "fog"),
        (("evaluate", "{run}", "--data", "mnist10k", "--part", "test"), 2, "--part is for fine-tuned models"),
        (("evaluate", "none.keras", "--data", "mnist10k"), 2, "no run folder or .keras file at none.keras"),
        (("report", "{flat}"), 2, "is not a run folder"),
        (("embed", "{run}", "--data", "mnist10k", "-o", "x.csv"), 2, "must end with .npz or .parquet"),
        (("embed", "{run}", "--data", "mnist10k", "-o", "/nowhere/x.npz"), 2, "no folder /nowhere"),
        (("trian",), 2, "Did you mean 'train'"),
    ],
)
def test_bad_wishes_get_a_sentence(kptk, run, tmp_path, arguments, code, sentence) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((40, 28, 28), "uint8"))
    np.savez(tmp_path / "other.npz", x=np.zeros((40, 9, 9), "uint8"), y=np.arange(40) % 2)
    np.savez(tmp_path / "one.npz", x=np.zeros((40, 28, 28), "uint8"), y=np.zeros(40, int))
    places = {
        "run": run[0],
        **{name: tmp_path / f"{name}.np{'y' if name == 'flat' else 'z'}" for name in ("flat", "other", "one")},
    }
    before = sorted(path.name for path in tmp_path.iterdir())
    done = kptk(*(word.format(**places) for word in arguments), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_full_disk_leaves_nothing_half_written(kptk, tmp_path) -> None:
    """A limit on the size of files stands for a full disk: the first checkpoint cannot be written."""
    out = tmp_path / "run"
    limited = ["bash", "-c", 'ulimit -f 97; exec "$@"', "-", sys.executable, "-m", "kptk", "train"]
    command = [*limited, "--plugin", "contrastive", *QUICK, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert "could not write" in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in out.rglob("*") if path.is_file()}
    assert left <= {"config.toml", "environment.json", "metrics.jsonl"}
    resumed = kptk("train", "--resume", str(out), "--quiet")
    assert resumed.returncode == 0, resumed.stderr
