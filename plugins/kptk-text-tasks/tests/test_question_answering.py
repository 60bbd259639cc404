"""Question answering: its loss, its places and windows, and the whole way from a run to predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kptk.errors import InputError
from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

from text_task_helpers import invoke, refused, sentences

import kptk
from kptk.data import ArraySource
from kptk.testing.gradients import value_and_gradients
from kptk.training.examples import grouped, objects
from kptk_text_tasks.question_answering import QuestionAnswering, span_losses


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.backends
def test_the_loss_is_the_mean_of_two_cross_entropies() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 6, 2)).astype("float32")
    labels = np.array([[1, 3], [0, 0], [5, 5]])
    exp = np.exp(scores - scores.max(1, keepdims=True))
    share = exp / exp.sum(1, keepdims=True)
    rows = np.arange(3)
    wanted = -(np.log(share[rows, labels[:, 0], 0]) + np.log(share[rows, labels[:, 1], 1])) / 2
    np.testing.assert_allclose(numpy(span_losses(labels, scores)), wanted, rtol=1e-5)
    task = QuestionAnswering()
    known = np.array([[1, 3], [-1, -1], [5, 5]])
    value, (gradient,) = value_and_gradients(lambda x: task.loss(known, x), scores)
    assert value == pytest.approx(wanted[[0, 2]].mean(), rel=1e-5)
    slope = share.copy()
    for side in (0, 1):
        slope[rows, labels[:, side], side] -= 1
    slope[1] = 0  # its answer is not known
    np.testing.assert_allclose(gradient, slope / 4, rtol=1e-4, atol=1e-6)


def layer(length: int = 24, kind: str = "wordpiece"):
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=300, length=length, tokenizer=kind)
    texts = [" ".join(words) for words, _ in sentences(60, 1)]
    made.fit(ArraySource(objects([*texts, "who where lives?"]), inputs="text"))
    return made


def source(pairs, answers=None):
    targets = None if answers is None else objects(answers)
    return ArraySource(objects(pairs), inputs="text", targets=targets, name="asked")


LONG = (
    "Anna lives in Oslo. Emil Smith moved to Rome. Dora was born in Vienna, and Fritz in Madrid. Carla lives in Paris."
)


def answer(context: str, text: str):
    return ((context.index(text), text),)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_perfect_model_answers_with_the_very_characters(kind) -> None:
    """Whatever the tokeniser makes of a text, in windows or not, the answer is cut out of the text itself."""
    views = layer(24, kind)
    task = QuestionAnswering(overlap=6)
    asked = [("Who lives in Oslo?", LONG), ("Where was Fritz born?", LONG), ("Who?", "Dora  Smith, moved.")]
    answers = [answer(LONG, "Anna"), answer(LONG, "Madrid"), ((0, "Dora  Smith"),)]
    made = task.examples(source(asked, answers), views)
    labels = task.targets(made)
    groups = grouped(made)
    assert len(made) > 3 and len(groups) == 3
    # The answer is in one window or in several, and in none that does not hold all of it.
    assert all((labels[rows].sum(axis=1) > 0).any() for rows in groups)
    scores = np.zeros((len(made), 24, 2))
    for row, (first, last) in enumerate(labels):
        scores[row, first, 0] += 5
        scores[row, last, 1] += 5
    found = task.answers(scores, made)
    assert [row["answer"] for row in found] == [given[0][1] for given in answers]
    assert [row["start"] for row in found] == [given[0][0] for given in answers]
    assert task.score_rows(labels, scores, made) == {"f1": 1.0, "exact_match": 1.0}
    table = task.table(scores, made)
    assert table["question"].tolist() == [question for question, _ in asked] and (table["score"] > 0.5).all()


def test_segments_are_told_apart_where_the_run_has_them() -> None:
    views = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=300, length=24, examples="next")
    views.fit(ArraySource(objects([LONG]), inputs="text"))
    made = QuestionAnswering().examples(source([("Who lives?", "Anna lives in Oslo.")]), views)
    row = made.read(np.array([0]))[0]
    assert row.shape == (3, 24)
    ends = np.flatnonzero(row[0] == views.tokens.end)
    assert len(ends) == 2 and (row[1, : ends[0] + 1] == 0).all() and (row[1, ends[0] + 1 : ends[1] + 1] == 1).all()


def test_an_answer_may_be_empty_only_if_it_is_allowed() -> None:
    views = layer()
    asked = [("Who lives in Rome?", "Anna lives in Oslo."), ("Who lives in Oslo?", "Anna lives in Oslo.")]
    answers = [(), answer("Anna lives in Oslo.", "Anna")]
    strict = QuestionAnswering()
    with pytest.raises(InputError, match=r"does not answer the question 'Who lives in Rome\?'.*unanswerable=true"):
        strict.targets(strict.examples(source(asked, answers), views))
    task = QuestionAnswering(unanswerable=True)
    made = task.examples(source(asked, answers), views)
    labels = task.targets(made)
    assert labels[0].tolist() == [0, 0]
    scores = np.zeros((2, 24, 2))
    scores[0, 0] = 3  # none is better
    scores[1, labels[1, 0], 0] = scores[1, labels[1, 1], 1] = 3
    assert [row["answer"] for row in task.answers(scores, made)] == ["", "Anna"]
    assert task.score_rows(labels, scores, made)["f1"] == 1.0
    assert task.details(labels, scores, made) == {
        "f1_answerable": 1.0,
        "exact_match_answerable": 1.0,
        "accuracy_unanswerable": 1.0,
    }
    task.null_threshold = 10.0
    assert task.answers(scores, made)[0]["answer"]
    assert strict.answers(scores, made)[0]["answer"]


def test_what_cannot_be_asked() -> None:
    views = layer(16)
    task = QuestionAnswering()
    with pytest.raises(InputError, match=r"question in row 0 has \d+ pieces.*Pre-train with longer rows"):
        task.examples(source([("Who lives in Oslo and was born in Rome or Madrid?", "Anna")]), views)
    with pytest.raises(InputError, match="row 1 must be a question and its text"):
        task.examples(source([("Who?", "Anna"), ("Who?",)]), views)
    with pytest.raises(InputError, match="needs answers"):
        task.targets(task.examples(source([("Who?", "Anna")]), views))
    with pytest.raises(InputError, match=r"shape \(rows, 2\)"):
        task.check_labels(np.zeros((2, 3), int))


def squad(count: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    paragraphs = []
    for number, (words, tags) in enumerate(sentences(count, seed)):
        context = " ".join(words)
        who, text = ("Who ?", words[0]) if rng.random() < 0.5 else ("Where ?", words[tags.index("B-LOC")])
        answers = [{"text": text, "answer_start": context.index(text)}]
        paragraphs.append({"context": context, "qas": [{"id": f"q{number}", "question": who, "answers": answers}]})
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}


@pytest.fixture(scope="module")
def answering(corpus, masked_run):
    (corpus / "train.json").write_text(json.dumps(squad(400, 1)))
    (corpus / "dev.json").write_text(json.dumps(squad(30, 2)))
    out = corpus / "answering"
    invoke(
        *("finetune", masked_run, "--task", "question_answering", "--data", corpus / "train.json", "--out", out),
        *(
            "--strategy",
            "weight",
            "--epochs",
            10,
            "-o",
            "train.learning_rate=0.005",
            "-o",
            "train.schedule=constant",
            "--batch-size",
            16,
        ),
    )
    return out


def test_finetune_learns_to_answer(answering, corpus) -> None:
    said = json.loads(invoke("evaluate", answering, "--data", corpus / "dev.json", "--json"))
    found = {row["metric"]: row["value"] for row in said["results"]}
    assert set(found) == {"f1", "exact_match"} and said["results"][0]["rows"] == 30
    assert found["f1"] > 0.8 and found["exact_match"] > 0.7


def test_predict_writes_text_span_and_score(answering, corpus) -> None:
    long = " ".join([*["Dora was happy ."] * 8, "Fritz moved to Berlin ."])
    rows = [
        {"id": "a", "question": "Where ?", "context": "Anna lives in Oslo ."},
        {"question": "Who ?", "context": long},
    ]
    (corpus / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    invoke("predict", answering, "--data", corpus / "asked.jsonl", "-o", corpus / "found.jsonl", "-o", "task.longest=1")
    first, second = map(json.loads, (corpus / "found.jsonl").read_text().splitlines())
    assert first["name"] == "a" and first["answer"] == "Oslo" == rows[0]["context"][first["start"] : first["end"]]
    assert 0 < first["score"] <= 1 and second["answer"] == long[second["start"] : second["end"]]
    said = refused("predict", answering, "--data", corpus / "asked.jsonl", "-o", "x.jsonl", "-o", "task.overlap=1")
    assert "no option 'overlap'" in said and "longest" in said
    assert "must name one file" in refused("predict", answering, "--data", "x", "-o", "a.csv", "-o", "b.csv")


def test_export_and_refusals(answering, masked_run, corpus) -> None:
    written = json.loads(invoke("export", answering, "--format", "keras", "--json"))
    assert written["difference"] < 1e-5
    (corpus / "wrong.jsonl").write_text(json.dumps({"question": "Who ?", "context": "Anna", "answer": "Bert"}) + "\n")
    said = refused("finetune", masked_run, "--task", "question_answering", "--data", corpus / "wrong.jsonl")
    assert "row 1: the answer 'Bert' is not in its context" in said


def test_python_takes_pairs_and_answers() -> None:
    views = layer(24)
    keras.utils.set_random_seed(0)
    network = kptk.backbone("bert", input_shape=(24,), vocabulary=views.tokens.vocabulary, layers=1, width=16)
    model = kptk.finetune("weight", network, task="question_answering", preprocessor=views, longest=4)
    texts = [" ".join(words) for words, _ in sentences(48, 1)]
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit([("Who?", t) for t in texts], [((0, t.split()[0]),) for t in texts], batch_size=16, epochs=6, verbose=0)
    table = model.table([("Who?", text) for text in texts[:8]])
    assert np.mean([found == text.split()[0] for found, text in zip(table["answer"], texts, strict=False)]) > 0.7
