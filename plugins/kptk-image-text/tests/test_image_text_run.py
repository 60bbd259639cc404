"""A run from the command line to retrieval, zero-shot classes and the encoders of both sides; and figures against references."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk_image_text.retrieval import chance, ranks, recalls, right_answers
from kptk_image_text.trained_pair_model import TrainedPairModel
from kptk_image_text.zero_shot import accuracies, class_vectors, prompts


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "run"
    options = {
        "data.limit": 96,
        "backbone.image": "mlp",
        "backbone.image_options": "units=16,depth=1",
        "backbone.text_options": "width=16,layers=1",
        "preprocessor.vocabulary": 300,
    }
    result = kptk.train("image_text", out=out, epochs=2, batch_size=32, options=options)
    assert result.summary["chance_loss"] == pytest.approx(np.log(32))
    return out


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def test_retrieval_says_chance_beside_and_takes_the_test_part(run) -> None:
    found = json.loads(said("retrieve", run, "--json", "--limit", 50))
    assert found["part"] == "test part" and found["different_captions"] == 50
    assert {(row["direction"], row["k"]) for row in found["results"]} == {
        (way, k) for way in ("image to text", "text to image") for k in (1, 5, 10)
    }
    for row in found["results"]:
        assert row["chance"] == pytest.approx(row["k"] / 50) and row["low"] <= row["value"] <= row["high"]
    assert "recall@1 " in said("retrieve", run, "--limit", 20)


def test_zero_shot_names_the_classes(run) -> None:
    words = ("zero-shot", run, "--data", "emoji48", "--template", "a {}", "--template", "{}")
    found = json.loads(said(*words, "--json", "--limit", 60))
    assert found["classes"] == 9 and found["chance_top1"] == pytest.approx(1 / 9) and found["rows"] == 60
    assert "chance 11.1%" in said(*words, "--limit", 60)
    assert "--template must have {}" in said("zero-shot", run, "--data", "emoji48", "--template", "a", code=2)
    assert "--classes must name 9 classes" in said("zero-shot", run, "--data", "emoji48", "--classes", "a,b", code=2)


def test_the_encoder_of_images_is_a_run_of_its_own(run) -> None:
    result = kptk.evaluate(run / "image", "emoji48", protocols=("knn",), limit=200)
    assert [score.encoder for score in result.scores] == ["run", "random", "raw"]
    assert result.overlap.pretraining == 96 and not result.overlap.test
    tuned = ("--task", "classification", "--data", "emoji48", "--epochs", 1, "-o", "data.limit=64")
    said("finetune", run / "image", *tuned, "--out", run.parent / "tuned", "--quiet")
    assert (run.parent / "tuned" / "model.keras").exists()
    whole = kptk.load_model(run / "pretrainer.keras")
    alone = kptk.load_model(run / "image" / "backbone.keras")
    pictures = np.random.default_rng(0).random((2, 48, 48, 3)).astype("float32")
    got, wanted = (keras.ops.convert_to_numpy(f(pictures)) for f in (alone, whole.towers.encode_images))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_the_encoder_of_texts_is_a_run_of_its_own(run, tmp_path) -> None:
    (tmp_path / "texts.txt").write_text("red heart\nsmiling cat\n")
    written = kptk.embed(run / "text", str(tmp_path / "texts.txt"), tmp_path / "out.npz")
    assert (written["rows"], written["dimensions"]) == (2, 16)
    result = kptk.evaluate(run / "text", "pair_texts", protocols=("knn",), limit=100)
    assert {score.encoder for score in result.scores} == {"run", "random", "raw"}


def test_the_whole_takes_pairs_and_says_where_its_sides_are(run) -> None:
    result = kptk.evaluate(run, "emoji_captions", protocols=("knn",), limit=100)
    assert len(result.scores) == 3
    with pytest.raises(kptk.InputError, match="RUN/image"):
        kptk.evaluate(run, "emoji48")
    with pytest.raises(kptk.InputError, match="was not trained on images with captions"):
        TrainedPairModel(run / "image")


def test_parts_are_no_runs_in_lists_and_a_whole_can_be_removed(run) -> None:
    from kptk import registry

    assert [record.name for record in registry.scan(run.parent) if "tuned" not in record.name] == ["run"]
    assert not registry.form(run / "image")


def test_ranks_and_chance_equal_counting() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.5, 0.5, 0.5], [0.2, 0.8, 0.3]])
    assert ranks(scores, np.eye(3, dtype=bool)).tolist() == [1, 3, 2]
    shared = right_answers(["a", "b", "a"])
    assert ranks(scores, shared).tolist() == [1, 3, 2]
    rng = np.random.default_rng(0)
    right = rng.random((40, 12)) < 0.2
    right[:, 0] = True
    drawn = np.mean([ranks(rng.random((40, 12)), right) <= 3 for _ in range(500)])
    assert chance(right, 3) == pytest.approx(drawn, abs=0.01)
    assert chance(np.eye(5, dtype=bool), 9) == 1.0
    assert all(row.value == 0.0 for row in recalls(np.zeros((20, 20)), [str(n) for n in range(20)]))


def test_zero_shot_figures_equal_counting() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.random((50, 7)), rng.integers(0, 7, 50)
    order = np.argsort(-scores, axis=1)
    figures = accuracies(scores, labels)
    assert figures["top1"] == pytest.approx((order[:, 0] == labels).mean())
    assert figures["top5"] == pytest.approx((order[:, :5] == labels[:, None]).any(1).mean())
    assert accuracies(np.zeros((4, 3)), np.array([0, 1, 2, 2]))["top1"] == 0.0
    vectors = class_vectors(np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]]), 2)
    np.testing.assert_allclose(vectors, [[0.5**0.5, 0.5**0.5], [1, 0]])
    assert prompts(["a_b", "c"], ["{} x", "{}"]) == [["a b x", "a b"], ["c x", "c"]]
    with pytest.raises(kptk.UsageError, match="at least two classes"):
        prompts(["a"], ["{}"])
