"""`kptk evaluate` whole: every protocol at once, planted copies, plain model files, and what a diverged run says."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.errors import InputError, UsageError
from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk import settings
from kptk.cli.main import cli
from kptk.training.encoder import TrainedEncoder

CLASSES = 3


def pictures(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 90, (rows, 12, 12, 1)).astype("uint8"), np.arange(rows) % CLASSES
    for row, label in enumerate(labels):
        images[row, 4 * label : 4 * label + 3] += 140
    return images, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("evaluate")
    x, _ = pictures(96, 0)
    np.savez(where / "unlabelled.npz", x=x)
    test, y = pictures(120, 1)
    test[:6] = x[:6]  # six copies of rows that were pre-trained on, of the same classes
    np.savez(where / "labelled.npz", x=test, y=y)
    options = {"backbone.units": 16, "objective.hidden_dim": 16, "train.deterministic": False}
    data = str(where / "unlabelled.npz")
    kptk.train("contrastive", data=data, out=where / "run", epochs=1, batch_size=32, options=options)
    return where


def evaluate(folder, *arguments: str, run: str = "run"):
    done = CliRunner().invoke(cli, ["evaluate", str(folder / run), "--data", str(folder / "labelled.npz"), *arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def everything(folder) -> dict:
    arguments = ("--protocols", "all", "--k", "5", "--draws", "2", "--epsilon", "0.1", "--corruptions", "contrast,jpeg")
    return json.loads(evaluate(folder, *arguments, "--json").stdout)


def test_all_protocols_at_once_beside_the_controls(everything) -> None:
    found = {(score["protocol"], score["encoder"]) for score in everything["results"]}
    wanted = {(p, e) for p in settings.PROTOCOLS for e in ("run", "random", "raw")} - {("lp-ft", "raw")}
    assert found == wanted
    for score in everything["results"]:
        assert score["low"] <= score["value"] <= score["high"], score
    corruptions = [s["corruption"] for s in everything["results"] if s["protocol"] == "corruptions"]
    assert corruptions == ["none", "contrast", "jpeg", "mean"] * 3
    mean = [s["value"] for s in everything["results"] if s["protocol"] == "corruptions" and s["encoder"] == "run"]
    assert mean[3] == pytest.approx((mean[1] + mean[2]) / 2)
    clean = [s["value"] for s in everything["results"] if s["protocol"] in ("linear", "corruptions")][:2]
    assert clean[0] == pytest.approx(clean[1])
    few = [s["labels_per_class"] for s in everything["results"] if s["protocol"] == "few-label"]
    assert few == [1, 5, 10] * 3


def test_planted_copies_are_counted_and_warned_of(everything, folder) -> None:
    copies = everything["overlap"]
    assert copies["pretraining"] == 96
    assert copies["train"] + copies["test"] == 6
    assert copies["test"] > 0
    assert any(remark.startswith(f"Warning: {copies['test']} of 60 test rows") for remark in everything["remarks"])
    assert "Warning: " in evaluate(folder, "--protocols", "knn", "--k", "5").stdout


def test_a_table_is_printed(folder) -> None:
    done = evaluate(folder, "--protocols", "knn,rank,lp-ft", "--k", "5", "--quiet")
    lines = done.stdout.splitlines()
    assert "this run" in lines[0] and "random encoder" in lines[0] and "raw inputs" in lines[0]
    assert [line[:14].strip() for line in lines[1:]] == ["kNN (k=5)", "effective rank", "LP-FT"]
    assert lines[3].rstrip().endswith("-")  # the raw inputs have no network to tune
    assert "%" in lines[1] and "%" not in lines[2]


def test_the_run_folder_keeps_the_newest_of_each_protocol(folder, tmp_path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    file = tmp_path / "run" / "evaluations.json"
    file.unlink(missing_ok=True)
    data = str(folder / "labelled.npz")
    for protocols in ("knn,rank", "knn"):
        arguments = ["evaluate", str(tmp_path / "run"), "--data", data, "--k", "7", "--protocols", protocols]
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    (kept,) = json.loads(file.read_text()).values()
    assert [score["protocol"] for score in kept["results"]] == ["rank"] * 3 + ["knn"] * 3


def test_a_plain_keras_file_is_an_encoder(folder) -> None:
    scores = json.loads(evaluate(folder, "--protocols", "linear", "--json").stdout)["results"]
    for name in ("backbone.keras", "pretrainer.keras"):
        again = json.loads(evaluate(folder, "--protocols", "linear", "--json", run=f"run/{name}").stdout)
        assert [s["value"] for s in again["results"]] == pytest.approx([s["value"] for s in scores])
        assert "a model file does not say" in again["overlap"]["unknown"]
        assert not (folder / "run" / "evaluations.json").is_dir()


def test_a_file_that_is_no_encoder_is_refused(folder, tmp_path) -> None:
    two = keras.Model(inputs := [keras.Input((4,)), keras.Input((4,))], keras.layers.Add()(inputs))
    two.save(tmp_path / "two.keras")
    with pytest.raises(InputError, match="has no weights"):
        TrainedEncoder(tmp_path / "two.keras")
    (tmp_path / "text.keras").write_text("no model")
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path / "text.keras"), "--data", "mnist10k"])
    assert done.exit_code == 2
    assert "is not a .keras file" in done.stderr


def test_a_diverged_run_says_so(folder, tmp_path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    model = keras.saving.load_model(tmp_path / "run" / "backbone.keras")
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.save(tmp_path / "run" / "backbone.keras")
    # TensorFlow's ReLU makes zeros of NaN, so the features would not show it.
    with pytest.raises(InputError, match=r"weights of .* are not finite; the run diverged"):
        kptk.evaluate(tmp_path / "run", str(folder / "labelled.npz"), protocols=("knn",), k=5)


def test_wrong_options_are_refused_in_python_too(folder) -> None:
    run, data = folder / "run", str(folder / "labelled.npz")
    for options, sentence in (
        ({"protocols": ("knn", "magic")}, "no protocol called 'magic'"),
        ({"protocols": ()}, "must name at least one"),
        ({"severity": 6}, "`severity` must be 1 to 5"),
        ({"labels_per_class": (1, 500)}, "Received: 500"),
        ({"k": 61}, "at most the number of training rows, 60"),
    ):
        with pytest.raises(UsageError, match=sentence):
            kptk.evaluate(run, data, **({"k": 5} | options))
