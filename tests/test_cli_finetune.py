"""Fine-tuning from the command line: run, score, predict, export, bad wishes; and going on after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.cli.main import cli
from kptk.training import backend

pytestmark = pytest.mark.backends

NAMES = np.array(["ant", "bee", "cat"])


def kptk(*arguments: str):
    return CliRunner().invoke(cli, list(arguments))


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 3
    x = rng.integers(0, 80, (count, 8, 8, 1)) + (y * 80)[:, None, None, None]
    return x.clip(0, 255).astype("uint8"), NAMES[y]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    backend.import_keras().utils.set_random_seed(1)  # the same backbone, whatever ran before
    import kptk as library

    folder = tmp_path_factory.mktemp("finetune")
    (x, y), (x_test, y_test) = rows(60, 0), rows(30, 1)
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    library.backbone("example_cnn", input_shape=(8, 8, 1), units=16).save(folder / "backbone.keras")
    return folder


def words(place, out, *more: str) -> list[str]:
    return [
        *("finetune", str(place / "backbone.keras"), "--task", "classification", "--data", str(place / "data.npz")),
        *(
            "--epochs",
            "6",
            "--batch-size",
            "16",
            "-o",
            "checkpoint_every=2",
            *("-o", "train.learning_rate=0.01"),
            "--out",
            str(out),
            *more,
        ),
    ]


@pytest.fixture(scope="module")
def run(place):
    out = place / "run"
    done = kptk(*words(place, out, "--json"))
    assert done.exit_code == 0, done.output
    return out, json.loads(done.stdout), done.stderr


def test_run_folder_and_summary_say_everything(run) -> None:
    out, summary, said = run
    assert {path.name for path in out.iterdir()} == {
        *(
            "config.toml",
            "environment.json",
            "metrics.jsonl",
            "summary.json",
            "model.keras",
            "report.html",
            "checkpoints",
        ),
    }
    assert "Report: " in said and "Confusion matrix" in (out / "report.html").read_text()
    assert summary["class_names"] == list(NAMES)
    assert summary["rows"] == {"train": 48, "validation": 12, "test": 30}
    assert [(p["phase"], p["epochs"], p["steps"]) for p in summary["phases"]] == [("head", 3, 9), ("all", 3, 9)]
    assert summary["phases"][0]["trainable"] == 16 * 3 + 3
    assert summary["test"]["accuracy"] > 0.5
    assert summary["validation"]["accuracy"] > 0.5
    assert "4 tensors loaded" in said and "3 missing (classification/class_weights" in said
    receipt = json.loads((out / "environment.json").read_text())["receipt"]
    assert len(receipt["loaded"]) == 4 and receipt["before"] != receipt["after"]


def test_the_best_epoch_by_validation_is_what_is_saved(run) -> None:
    import kptk as library

    out, summary, _ = run
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    keys = [(record["val_accuracy"], -record["val_loss"]) for record in records]
    assert summary["best_epoch"] == max(range(len(keys)), key=lambda i: (keys[i], i)) + 1
    from kptk.training.receipt import checksum

    assert checksum(library.load_model(out / "model.keras")) == summary["checksum"]


def test_evaluate_scores_the_test_part_and_warns_of_training_rows(run, place) -> None:
    out, summary, _ = run
    done = kptk("evaluate", str(out), "--data", str(place / "data.npz"), "--json")
    results = {row["metric"]: row["value"] for row in json.loads(done.stdout)["results"]}
    assert results["accuracy"] == summary["test"]["accuracy"]
    assert not json.loads(done.stdout)["warning"]
    everything = kptk("evaluate", str(out / "model.keras"), "--data", str(place / "data.npz"), "--part", "all")
    assert "60 rows" in everything.stdout
    assert (
        "learned from rows of this data"
        in kptk("evaluate", str(out), "--data", str(place / "data.npz"), "--part", "all").stdout
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_predictions_have_names(run, place, tmp_path, suffix) -> None:
    import csv

    from pyarrow import parquet

    target = tmp_path / f"p.{suffix}"
    done = kptk("predict", str(run[0]), "--data", str(place / "data.npz"), "-o", str(target))
    assert done.exit_code == 0, done.output
    if suffix == "csv":
        table = list(csv.DictReader(target.read_text().splitlines()))
    elif suffix == "jsonl":
        table = [json.loads(line) for line in target.read_text().splitlines()]
    else:
        table = parquet.read_table(target).to_pylist()
    assert len(table) == 60
    assert list(table[0]) == ["row", "name", "label", "prediction", "probability", "p_ant", "p_bee", "p_cat"]
    assert {row["prediction"] for row in table} <= set(NAMES)
    assert sum(row["prediction"] == row["label"] for row in table) > 30
    assert float(table[0]["p_ant"]) + float(table[0]["p_bee"]) + float(table[0]["p_cat"]) == pytest.approx(1, abs=1e-5)


def test_only_the_rows_that_were_asked_for(run, place, tmp_path) -> None:
    out, data = str(run[0]), str(place / "data.npz")
    for words, count in (
        (("--split", "test"), 30),
        (("--split", "all"), 90),
        (("--fraction", "0.5", "--limit", "9"), 9),
    ):
        done = kptk("predict", out, "--data", data, "-o", str(tmp_path / "p.jsonl"), *words, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["rows"] == count
    scored = [json.loads(kptk("evaluate", out, "--data", data, *w, "--json").stdout) for w in ((), ("--split", "test"))]
    assert scored[0]["results"] == scored[1]["results"]  # a test part is what is scored anyway
    done = kptk("evaluate", out, "--data", data, "--split", "train", "--part", "all")
    assert (done.exit_code, "--split and --part both" in done.output) == (2, True)
    done = kptk("evaluate", out, "--data", data, "--split", "validation")
    assert (done.exit_code, "it has: train, test" in done.output) == (2, True)


def test_which_rows_is_written_into_the_configuration(place, tmp_path) -> None:
    import tomllib

    shown = kptk(
        *words(place, tmp_path / "x", "--split", "test", "--fraction", "0.5", "--limit", "9", "--print-config")
    ).stdout
    data = tomllib.loads(shown)["data"]
    assert (data["part"], data["fraction"], data["limit"]) == ("test", 0.5, 9)
    for flag, wrong in (("--fraction", "1.5"), ("--limit", "-1")):
        assert kptk(*words(place, tmp_path / "x", flag, wrong, "--print-config")).exit_code == 2


def test_export_to_keras_needs_no_kptk(run, place, tmp_path) -> None:
    keras = backend.import_keras()
    import kptk as library

    target = tmp_path / "plain.keras"
    done = kptk("export", str(run[0]), "-o", str(target), "--json")
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(target) as archive:
        assert "kptk" not in archive.read("config.json").decode()
    x = rows(9, 5)[0]
    model = library.load_model(run[0] / "model.keras")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.saving.load_model(target)(x)),
        keras.ops.convert_to_numpy(model.predictions(x)),
        atol=1e-6,
    )


@pytest.mark.parametrize("form", ["savedmodel", "onnx", "litert"])
def test_export_elsewhere_equals_the_model_or_says_what_is_missing(run, tmp_path, form) -> None:
    from kptk.errors import UsageError
    from kptk.training.export import check_format
    from kptk.training.paths import SUFFIXES

    target = tmp_path / f"out{SUFFIXES[form]}"
    done = kptk("export", str(run[0]), "--format", form, "-o", str(target), "--json")
    missing = ""
    try:
        check_format(form, backend.name())
    except UsageError as error:
        missing = str(error)
    if missing:
        assert done.exit_code == 2
        assert missing in done.stderr
        assert not list(tmp_path.iterdir())
    else:
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["difference"] < 1e-4
        assert [path.name for path in tmp_path.iterdir()] == [target.name]


def bad_places(place, tmp_path) -> dict[str, str]:
    x, y = rows(24, 3)
    np.savez(tmp_path / "one.npz", x=x, y=np.array(["ant"] * 24))
    np.savez(tmp_path / "lonely.npz", x=x, y=np.array([*y[:23], "dog"]))
    np.savez(tmp_path / "unseen.npz", x=x, y=np.array([*y[:22], "dog", "dog"]))
    np.savez(tmp_path / "flat.npz", x=x)
    np.savez(tmp_path / "other.npz", x=np.zeros((24, 9, 9), "uint8"), y=y)
    (tmp_path / "not.keras").write_text("hello")
    names = {name: str(tmp_path / f"{name}.npz") for name in ("one", "lonely", "unseen", "flat", "other")}
    return names | {
        "not": str(tmp_path / "not.keras"),
        "b": str(place / "backbone.keras"),
        "d": str(place / "data.npz"),
        "run": str(place / "run"),
        "out": str(tmp_path / "new"),
    }


BAD = [
    ("finetune {b} --data {d}", "no task was named"),
    ("finetune {b} --task classification", "no data was named"),
    ("finetune --task classification --data {d}", "no model was named"),
    ("finetune {out} --task classification --data {d}", "no run folder or .keras file at"),
    ("finetune {not} --task classification --data {d}", "is not a .keras file"),
    ("finetune {run} --task classification --data {d}", "is a fine-tuned model"),
    ("finetune {b} --task clasification --data {d}", "Did you mean 'classification'"),
    ("finetune {b} --task classification --data {one}", "at least two classes"),
    ("finetune {b} --task classification --data {lonely}", "class 'dog' has one example"),
    ("finetune {b} --task classification --data {flat}", "needs a class for each row"),
    ("finetune {b} --task classification --data {other}", "the model takes rows of 8 x 8 x 1"),
    ("finetune {b} --task classification --data {d} --labels-per-class 21", "class 'ant' has 20 rows"),
    ("finetune {b} --task classification --data {d} --epochs -1", "`epochs` must be"),
    ("finetune {b} --task classification --data {d} -o heat=1", "no part of this run has an option 'heat'"),
    ("finetune --resume {run}", "is complete"),
    ("finetune --resume {run} --epochs 3", "Leave out: --epochs"),
    ("evaluate {run} --data {unseen}", "class 'dog' was not among the 3 classes"),
    ("evaluate {run} --data {flat}", "needs a class for each row"),
    ("predict {run} --data {d} -o {out}.txt", "must end with .csv"),
    ("predict {b} --data {d} -o {out}.csv", "is not a fine-tuned model of kptk"),
    ("predict {run} --data {other} -o {out}.csv", "the model takes rows of 8 x 8 x 1"),
    ("export {run} -o {out}.onnx", "must end with .keras"),
    ("export {not}", "is not a .keras file"),
    ("embed {run} --data {d} -o {out}.npz", "has predictions, not features"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD, ids=[line for line, _ in BAD])
def test_bad_wishes_get_a_sentence_and_write_nothing(run, place, tmp_path, line, sentence) -> None:
    places = bad_places(place, tmp_path)
    arguments = [word.format(**places) for word in line.split()]
    if arguments[0] == "finetune" and "--resume" not in arguments:
        arguments += ["--out", places["out"]]
    before = sorted(tmp_path.iterdir())
    done = kptk(*arguments)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_lambda_is_refused(place, tmp_path) -> None:
    keras = backend.import_keras()
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Lambda(lambda x: x)]
    )
    model.save(tmp_path / "evil.keras")
    done = kptk(
        "finetune",
        str(tmp_path / "evil.keras"),
        "--task",
        "classification",
        "--data",
        str(place / "data.npz"),
        "--out",
        str(tmp_path / "new"),
    )
    assert done.exit_code == 2
    assert "ambda" in done.stderr
    assert not (tmp_path / "new").exists()


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("kill_at", "why"),
    [(1, "before a checkpoint"), (5, "in the head's phase"), (9, "between phases"), (14, "in the second phase")],
)
def test_interrupted_and_resumed_ends_bit_for_bit_as_uninterrupted(
    run, place, tmp_path, monkeypatch, kill_at, why
) -> None:
    """Nothing is written after the step at which it stops, as with kill -9; a real one is tried below."""
    del why
    from kptk.training.callbacks import ShowProgress

    step = ShowProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        step(self, batch, logs)
        if self.step == kill_at:
            raise Killed

    monkeypatch.setattr(ShowProgress, "on_train_batch_end", on_train_batch_end)
    out = tmp_path / "run"
    assert isinstance(kptk(*words(place, out)).exception, Killed)
    monkeypatch.undo()
    assert not (out / "model.keras").exists()
    done = kptk("finetune", "--resume", str(out))
    assert done.exit_code == 0, done.output
    assert_same_end(out, run[0])


def assert_same_end(out, whole) -> None:
    for name in ("latest.npz", "best.npz"):
        with np.load(out / "checkpoints" / name) as got, np.load(whole / "checkpoints" / name) as wanted:
            for key in set(wanted.files) - {"paths"}:
                np.testing.assert_array_equal(got[key], wanted[key], err_msg=key)
    keys = ("checksum", "backbone_checksum", "loss", "first_loss", "best_epoch", "test", "validation")
    ends = [json.loads((folder / "summary.json").read_text()) for folder in (out, whole)]
    assert [ends[0][key] for key in keys] == [ends[1][key] for key in keys]
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k not in ("seconds", "images_per_second", "waited")}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (out, whole)
    ]
    assert logs[0] == logs[1]


KILLER = """
import os, signal
from kptk.training import backend
backend.import_keras()
from kptk.training.callbacks import ShowProgress
step = ShowProgress.on_train_batch_end
def on_train_batch_end(self, batch, logs=None):
    step(self, batch, logs)
    if self.step == 13:
        os.kill(os.getpid(), signal.SIGKILL)
ShowProgress.on_train_batch_end = on_train_batch_end
from kptk.__main__ import main
main()
"""


def test_killed_with_sigkill_and_resumed_in_another_process(run, place, tmp_path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLER, *words(place, out)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert kptk("finetune", "--resume", str(out)).exit_code == 0
    assert_same_end(out, run[0])


def test_resume_refuses_changed_labels_and_another_origin(place, tmp_path, monkeypatch) -> None:
    import shutil

    import kptk as library
    from kptk.training.callbacks import ShowProgress

    for name in ("data.npz", "backbone.keras"):
        shutil.copy(place / name, tmp_path / name)

    def on_train_batch_end(self, batch, logs=None):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ShowProgress, "on_train_batch_end", on_train_batch_end)
        assert isinstance(kptk(*words(tmp_path, tmp_path / "run")).exception, Killed)
    library.backbone("example_cnn", input_shape=(8, 8, 1), units=16).save(tmp_path / "backbone.keras")
    refused = kptk("finetune", "--resume", str(tmp_path / "run"))
    assert refused.exit_code == 2 and "the origin of" in refused.stderr
    shutil.copy(place / "backbone.keras", tmp_path / "backbone.keras")
    x, y = rows(60, 0)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y[::-1])
    refused = kptk("finetune", "--resume", str(tmp_path / "run"))
    assert refused.exit_code == 2 and "the data of" in refused.stderr


def test_patience_stops_early_and_few_labels_are_drawn_by_class(place, tmp_path) -> None:
    out = tmp_path / "run"
    arguments = [
        word
        for word in words(
            place,
            out,
            "--labels-per-class",
            "5",
            "-o",
            "patience=2",
            "--json",
            "-o",
            "optimizer=sgd",
            "-o",
            "train.learning_rate=1",
        )
        if word
    ]
    arguments[arguments.index("--epochs") + 1] = "30"
    done = kptk(*arguments)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["rows"]["train"] == 12 and summary["rows"]["validation"] == 3
    assert 15 < summary["epochs"] < 30
    assert summary["epochs"] - summary["best_epoch"] >= 2
