"""Similarity, the whole way: a reader of pairs, fine-tuning, scores of pairs, embeddings of single texts, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

from text_task_helpers import NAMES, TOWNS, VERBS, invoke, refused, sentences

import kptk
from kptk.training.export import deployable, random_rows
from kptk_text_tasks.scored_pairs import scored_pairs
from kptk_text_tasks.scored_rows import POSITIVE


def told(rng) -> tuple[str, str, str]:
    return str(rng.choice(NAMES)), str(rng.choice(VERBS)), str(rng.choice(TOWNS))


def scored(count: int, seed: int) -> list[tuple[str, str, float]]:
    """Pairs of sentences; 5 points for the same town and the same name, 3 for the town alone, 2 for the name alone."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        name, verb, town = told(rng)
        other, word, place = told(rng)
        other = name if rng.random() < 0.5 else other
        place = town if rng.random() < 0.5 else place
        score = 2.0 * (name == other) + 3.0 * (town == place)
        made.append((f"{name} {verb} {town} .", f"{other} {word} {place} .", score))
    return made


def write(path, rows, header="sentence1,sentence2,score"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


FAST = (
    *("--strategy", "weight", "-o", "train.learning_rate=0.005", "-o", "train.schedule=constant"),
    *("--batch-size", 32, "--epochs", 12),
)


@pytest.fixture(scope="module")
def alike(corpus, masked_run):
    write(corpus / "pairs.csv", scored(320, 1))
    write(corpus / "dev.csv", scored(80, 2))
    out = corpus / "alike"
    invoke("finetune", masked_run, "--task", "similarity", "--data", corpus / "pairs.csv", "--out", out, *FAST)
    return out


def figures(*words) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in json.loads(invoke(*words, "--json"))["results"]}


def test_the_order_of_scores_is_learned(alike, corpus) -> None:
    found = figures("evaluate", alike, "--data", corpus / "dev.csv")
    assert set(found) == {"spearman", "pearson"} and min(found.values()) > 0.8


def test_predict_writes_a_score_a_pair_in_the_data_s_unit(alike, corpus) -> None:
    rows = [("Anna lives in Oslo .", "Anna moved to Oslo ."), ("Anna lives in Oslo .", "Emil was born in Rome .")]
    write(corpus / "asked.csv", [*rows, ("Anna lives in Oslo .", "Anna lives in Oslo .")], "text1,text2")
    invoke("predict", alike, "--data", corpus / "asked.csv", "-o", corpus / "found.jsonl")
    near, far, same = map(json.loads, (corpus / "found.jsonl").read_text().splitlines())
    assert (near["first"], near["second"]) == rows[0]
    assert near["score"] > far["score"] + 2 and same["score"] == pytest.approx(5.0, abs=1e-4)


def test_embeddings_of_single_texts_have_the_cosines_of_the_pairs(alike, corpus) -> None:
    pairs = scored(5, 3)  # an odd number of texts
    texts = [text for first, second, _ in pairs for text in (first, second)][:9]
    (corpus / "single.txt").write_text("\n".join(texts) + "\n")
    said = json.loads(
        invoke("embed", alike, "--data", corpus / "single.txt", "-o", corpus / "single.npz", "--json", "--quiet")
    )
    assert said["rows"] == 9 and said["dimensions"] == 16
    with np.load(corpus / "single.npz") as saved:
        vectors = saved["features"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    write(corpus / "again.csv", [row[:2] for row in pairs[:4]], "first,second")
    invoke("predict", alike, "--data", corpus / "again.csv", "-o", corpus / "again.jsonl")
    scores = [json.loads(line)["score"] for line in (corpus / "again.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(5 * (vectors[0:8:2] * vectors[1:8:2]).sum(1), scores, rtol=1e-4, atol=1e-4)
    invoke("embed", alike / "model.keras", "--data", corpus / "single.txt", "-o", corpus / "file.npz", "--quiet")
    with np.load(corpus / "file.npz") as saved:
        np.testing.assert_allclose(saved["features"], vectors, rtol=1e-5)


@pytest.mark.parametrize("format", ["keras", "savedmodel"])
def test_export_predicts_the_same(alike, format) -> None:
    written = json.loads(invoke("export", alike, "--format", format, "--json"))
    assert written["input"]["shape"] == [None, 2, 24] and written["difference"] < 1e-4


def test_pairs_without_scores_learn_to_be_found(corpus, masked_run) -> None:
    """A sentence and what says the same of the same person and town; every other one of the batch is a negative."""
    rng = np.random.default_rng(4)
    rows = []
    for name in NAMES:
        for town in TOWNS:
            first, second = rng.permutation(VERBS)[:2]
            rows += [(f"{name} {first} {town} .", f"{name} {second} {town} .")] * 6
    rng.shuffle(rows)
    data = write(corpus / "positives.tsv", ["\t".join(row).split("\0") for row in rows], "query\tpassage")
    out = corpus / "found"
    invoke("finetune", masked_run, "--task", "similarity", "--data", data, "--out", out, *FAST)
    found = figures("evaluate", out, "--data", data)
    assert set(found) == {"mrr", "recall@1", "recall@5", "recall@10"}
    chance = float(np.mean(1 / np.arange(1, 37)))
    assert found["mrr"] > 0.5 > 4 * chance and found["recall@10"] >= found["recall@5"] >= found["recall@1"]


def test_the_reader_takes_usual_columns_and_a_test_part(tmp_path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"anchor": "a b", "positive": "b a", "split": "train"},
        {"anchor": "c", "positive": "d", "split": "test"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = scored_pairs(str(path))
    assert source.read(np.array([0]))[0] == ("a b", "b a") and source.targets is None
    assert len(source) == 1 and len(source.holdout()) == 1
    write(tmp_path / "semi.csv", [("a;b;3",), ("c;d;4.5",)], "links;rechts;Wert")
    named = scored_pairs(str(tmp_path / "semi.csv"), first="links", second="rechts", score="Wert")
    assert list(named.targets) == [3.0, 4.5]
    assert scored_pairs(str(tmp_path / "semi.csv"), first="links", second="rechts", score="-").targets is None


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (
            "sentence1,other",
            "a,b",
            "say which column holds the second: -o data.second=NAME. Its columns: sentence1, other",
        ),
        ("first,second,score", "a,b,nan", "its score, column 'score', must be a number. Received: 'nan'"),
        ("first,second,score", "a,b,", "must be a number. Received: ''"),
        ("first,second,score", "a,b,entailment", "must be a number. Received: 'entailment'"),
        ("first,second", "a, ", "column 'second' must be a text that is not empty"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_row(tmp_path, header, row, words) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(InputError) as error:
        scored_pairs(str(path))
    assert words in str(error.value)


def test_bad_rows_can_be_left_out(tmp_path) -> None:
    write(tmp_path / "pairs.csv", [("a", "b", 1), ("a", "", 1), ("c", "d", "x"), ("e", "f", 0)])
    source = scored_pairs(str(tmp_path / "pairs.csv"), on_bad_input="skip")
    assert len(source) == 2 and len(source.skipped) == 2
    write(tmp_path / "one.csv", [("a", "b")], "text,other")
    with pytest.raises(InputError, match="would come from column 'text'"):
        scored_pairs(str(tmp_path / "one.csv"), first="text", second="text")


def test_data_of_which_nothing_can_be_learned(corpus, masked_run) -> None:
    def said(rows, header="first,second,score", *more):
        data = write(corpus / "bad.csv", rows, header)
        return refused("finetune", masked_run, "--task", "similarity", "--data", data, *more)

    assert "every score is 3, so there is nothing to tell apart" in said([("a", "b", 3), ("c", "d", 3)])
    same = said([("a b", "b"), ("c", "c")], "first,second")
    assert "1 of 2 pairs hold the same input twice" in same and "in row 1" in same
    assert "2 of 2 pairs hold the same input" in said([("a", "a", 1), ("c", "c", 0)])
    one = said([("a", "b"), ("c", "d")], "first,second", "--batch-size", 1)
    assert "needs at least 2 rows a step" in one and "Received: 1" in one
    plain = refused("finetune", masked_run, "--task", "similarity", "--data", corpus / "corpus.txt")
    assert "similarity" in plain and "scored_pairs" in plain


def test_python_takes_pairs_and_scores() -> None:
    views = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=300, length=16)
    from kptk.data import ArraySource
    from kptk.training.examples import objects

    views.fit(ArraySource(objects([" ".join(words) for words, _ in sentences(60, 1)]), inputs="text"))
    keras.utils.set_random_seed(0)
    network = kptk.backbone("bert", input_shape=(16,), vocabulary=views.tokens.vocabulary, layers=1, width=16)
    model = kptk.finetune("lp_ft", network, task="similarity", preprocessor=views, loss="cosent")
    rows = scored(96, 5)
    pairs, scores = [row[:2] for row in rows], [row[2] for row in rows]
    model.compile(keras.optimizers.Adam(3e-3))
    before = np.corrcoef(model.table(pairs)["score"], scores)[0, 1]
    model.fit(pairs, scores, batch_size=32, epochs=12, verbose=0)
    table = model.table(pairs)
    assert table["first"].tolist() == [first for first, _ in pairs]
    assert np.corrcoef(table["score"], scores)[0, 1] > before + 0.2
    with pytest.raises(InputError, match="row 1 must be a pair of texts"):
        model.fit([("a", "b"), ("a",)], [1, 2])
    ranked = kptk.finetune("weight", network, task="similarity", preprocessor=views)
    ranked.compile("adam")
    with pytest.raises(UsageError, match="at least 2 rows a step"):
        ranked.fit([pair for pair in pairs if pair[0] != pair[1]], None, batch_size=1, verbose=0)
    assert ranked.task.loss_name == "mnrl" and ranked.task.metric == "mrr"


def test_pairs_of_images_are_arrays() -> None:
    """Bright and dark images: alike if both are bright or both dark."""
    pytest.importorskip("kptk_vision", reason="backbones and views of images come with kptk-vision")
    rng = np.random.default_rng(0)
    bright = rng.integers(0, 2, (64, 2))
    x = (rng.integers(0, 60, (64, 2, 12, 12, 1)) + 180 * bright[:, :, None, None, None]).astype("uint8")
    y = (bright[:, 0] == bright[:, 1]).astype("float32")
    keras.utils.set_random_seed(0)
    network = kptk.backbone("example_cnn", input_shape=(12, 12, 1))
    how = {"task": "similarity", "row_shape": (2, 12, 12, 1), "preprocessor": "image_views"}
    model = kptk.finetune("weight", network, augment=True, **how)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(x, y, batch_size=16, epochs=8, verbose=0)
    found = np.asarray(keras.ops.convert_to_numpy(model.predictions(x)))[:, 0]
    assert found[y == 1].min() > found[y == 0].max()
    probe = random_rows(model, 3)
    assert probe.dtype == "uint8" and probe.shape == (3, 2, 12, 12, 1)
    exported = np.asarray(keras.ops.convert_to_numpy(deployable(model)(probe)))
    wanted = np.asarray(keras.ops.convert_to_numpy(model.predictions(probe)))
    np.testing.assert_allclose(exported, wanted, rtol=1e-5, atol=1e-5)
    labels = np.column_stack([np.full(64, POSITIVE), np.arange(128).reshape(64, 2)])
    again = kptk.finetune("weight", network, **how)
    again.compile("adam")
    again.fit(x, labels, batch_size=16, epochs=1, verbose=0)
    assert again.task.loss_name == "mnrl"
    with pytest.raises(InputError, match="rows must be pairs"):
        again.predict(np.zeros((2, 12, 12, 1), "uint8"), verbose=0)
