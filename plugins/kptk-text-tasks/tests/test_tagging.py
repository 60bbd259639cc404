"""Tagging: its loss, its words and windows, and the whole way from a run to predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

from click.testing import CliRunner
from text_task_helpers import invoke, refused, sentences

import kptk
from kptk.cli.main import cli
from kptk.data import ArraySource
from kptk.testing.gradients import value_and_gradients
from kptk.training.examples import objects
from kptk_text_tasks.tagging import Tagging, place_losses

TAGS = ("O", "B-LOC", "B-PER", "I-PER")


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.backends
def test_the_loss_is_the_mean_over_the_tagged_words() -> None:
    """Value and gradient against NumPy; places without a tag have neither."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 5)).astype("float32")
    labels = np.array([[1, -1, 0, 4], [-1, -1, 2, -1], [-1, -1, -1, -1]])
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    share = exp / exp.sum(-1, keepdims=True)
    there = labels >= 0
    wanted = -np.log(np.take_along_axis(share, np.maximum(labels, 0)[..., None], -1)[..., 0]) * there
    np.testing.assert_allclose(numpy(place_losses(labels, logits)), wanted, rtol=1e-5, atol=1e-6)
    task = Tagging(class_names=tuple("abcde"))
    assert float(numpy(task.loss(labels, logits))) == pytest.approx(wanted.sum() / there.sum(), rel=1e-5)
    np.testing.assert_allclose(numpy(task.row_loss(labels, logits)), wanted.sum(1) / np.array([3, 1, 1]), rtol=1e-5)
    weighed = float(numpy(task.loss(labels, logits, np.array([2.0, 0.0, 1.0]))))
    assert weighed == pytest.approx(2 * wanted[0].sum() / there.sum(), rel=1e-5)
    _, (gradient,) = value_and_gradients(lambda x: task.loss(labels, x), logits)
    slope = (share - np.eye(5)[np.maximum(labels, 0)]) * there[..., None] / there.sum()
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-6)


def layer(length: int = 16, kind: str = "wordpiece"):
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=300, length=length, tokenizer=kind)
    texts = [" ".join(words) for words, _ in sentences(60, 1)]
    made.fit(ArraySource(objects(texts), inputs="text"))
    return made


def source(rows, tags=None):
    return ArraySource(objects(rows), inputs="text", targets=None if tags is None else objects(tags), name="words")


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_the_first_piece_of_a_word_has_its_tag(kind) -> None:
    views = layer(32, kind)
    words, tags = ("Anna", "Romad", "lives", "in", "\x01", "Oslo"), ("B-PER", "I-PER", "O", "O", "O", "B-LOC")
    rows = Tagging(class_names=TAGS).examples(source([words], [tags]), views)
    assert len(rows) == 1
    ids, labels, note = rows.read(np.array([0]))[0], rows.targets[0], rows.notes(np.array([0]))[0]
    places = np.flatnonzero(labels >= 0)
    assert [TAGS[tag] for tag in labels[places]] == list(tags)  # also for the word of which nothing is left
    np.testing.assert_array_equal(note.places, places)
    assert ids[0] == views.tokens.start and labels[0] == -1
    pieces = [
        views.decode(ids[a:b]).replace(" ", "") for a, b in zip(places, [*places[1:], (ids > 0).sum() - 1], strict=True)
    ]
    assert pieces[0].lower() == "anna" and pieces[2:4] == ["lives", "in"] and pieces[5].lower() == "oslo"
    assert len(places) < (ids > 0).sum() - 2  # the unknown name has several


def test_a_long_sentence_is_tagged_in_windows_and_put_together() -> None:
    views = layer(16)
    rng = np.random.default_rng(3)
    rows = [tuple(rng.choice(["Anna", "lives", "Romad", "in", "Oslo"], size)) for size in (40, 3, 25)]
    tags = [tuple(rng.choice(TAGS, len(words))) for words in rows]
    task = Tagging(class_names=TAGS, overlap=6)
    made = task.examples(source(rows, tags), views)
    assert len(made) > 5 and len(np.unique(made.groups)) == 3 and "2 longer than a row of 16 tokens" in made.describe()
    labels = task.targets(made)
    assert (labels >= 0).sum() == 40 + 3 + 25  # each word once, in whichever window
    perfect = np.eye(len(TAGS))[np.maximum(labels, 0)]
    table = task.table(perfect, made)
    assert [tuple(chosen) for chosen in table["tags"]] == tags
    assert [tuple(words) for words in table["words"]] == rows
    assert task.score_rows(labels, perfect, made) == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "accuracy": 1.0}
    # One wrong word spoils its span and no other, wherever windows end.
    word = next(place for place, tag in enumerate(tags[0]) if tag == "B-LOC")
    row = next(r for r in range(len(made)) if made.groups[r] == 0 and word in made.notes(np.array([r]))[0].own)
    note = made.notes(np.array([row]))[0]
    spoilt = perfect.copy()
    spoilt[row, note.places[list(note.own).index(word)]] = np.eye(len(TAGS))[0]
    score = task.score_rows(labels, spoilt, made)
    assert score["accuracy"] == pytest.approx(67 / 68) and score["precision"] == 1.0 and score["recall"] < 1
    details = task.details(labels, spoilt, made)
    assert details["recall_LOC"] < 1 and details["f1_PER"] == 1.0


def test_tags_that_mark_no_spans_are_scored_by_word() -> None:
    task = Tagging(class_names=("NOUN", "VERB"))
    labels = np.array([[-1, 0, 1, 1]])
    score = task.score(labels, np.eye(2)[[[0, 0, 1, 0]]])
    assert task.metric == "accuracy" and score["accuracy"] == pytest.approx(2 / 3)
    assert score["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert "spans" not in task.table(np.eye(2)[[[0, 0, 1, 0]]], source([("a",)]))


def test_what_cannot_be_tagged() -> None:
    views = layer()
    task = Tagging(class_names=TAGS)
    with pytest.raises(InputError, match="row 0 has 2 words and 1 tags"):
        task.examples(source([("Anna", "lives")], [("O",)]), views)
    with pytest.raises(InputError, match="row 0 must be a sentence of words"):
        task.examples(source([(3, 4)]), views)
    with pytest.raises(InputError, match="the tag 'B-ORG' was not among the 4 tags"):
        task.targets(task.examples(source([("Anna", "x")], [("O", "B-ORG")]), views))
    with pytest.raises(InputError, match="tagging needs a tag for each word"):
        task.targets(task.examples(source([("Anna",)]), views))
    with pytest.raises(InputError, match=r"at least two tags\. Received: O"):
        Tagging(class_names=("O",))
    with pytest.raises(UsageError, match="must be a preprocessor of texts"):
        task.examples(source([("Anna",)]), None)


def command(corpus, run, out) -> list:
    return [
        *("finetune", run, "--task", "tagging", "--data", corpus / "tagged.jsonl", "--out", out, "--epochs", 12),
        *("-o", "train.learning_rate=0.02", "--batch-size", 16, "-o", "checkpoint_every=5"),
    ]


@pytest.fixture(scope="module")
def tagged(corpus, masked_run):
    """A fine-tuning on sentences, with a test part, and what it said."""
    rows = [(words, tags, "train") for words, tags in sentences(60, 1)]
    rows += [(words, tags, "test") for words, tags in sentences(20, 2)]
    lines = [json.dumps({"tokens": words, "tags": tags, "split": part}) for words, tags, part in rows]
    (corpus / "tagged.jsonl").write_text("\n".join(lines))
    out = corpus / "tagging"
    return out, invoke(*command(corpus, masked_run, out))


def test_finetune_learns_to_tag(tagged) -> None:
    out, said = tagged
    summary = json.loads((out / "summary.json").read_text())
    assert summary["class_names"] == list(TAGS) and summary["rows"] == {"train": 48, "validation": 12, "test": 20}
    assert summary["test"]["f1"] > 0.9 and summary["test"]["accuracy"] > 0.9
    assert "f1" in said and "48 rows to learn from" in said


def test_evaluate_and_predict(tagged, corpus) -> None:
    out, _ = tagged
    result = json.loads(invoke("evaluate", out, "--data", corpus / "tagged.jsonl", "--json"))
    found = {row["metric"]: row["value"] for row in result["results"]}
    summary = json.loads((out / "summary.json").read_text())
    assert (
        found["f1"] == pytest.approx(summary["test"]["f1"]) and "f1_PER" in found and result["results"][0]["rows"] == 20
    )
    (corpus / "new.conll").write_text("Anna\nlives\nin\nOslo\n.\n\nEmil\nSmith\n")
    invoke("predict", out, "--data", corpus / "new.conll", "-o", corpus / "new.jsonl")
    first, second = map(json.loads, (corpus / "new.jsonl").read_text().splitlines())
    assert (
        first["words"] == ["Anna", "lives", "in", "Oslo", "."]
        and len(first["tags"]) == len(first["probabilities"]) == 5
    )
    assert first["tags"] == ["B-PER", "O", "O", "B-LOC", "O"]
    assert first["spans"][1] == {"kind": "LOC", "start": 3, "end": 4, "text": "Oslo"}
    assert len(second["tags"]) == 2
    (corpus / "plain.txt").write_text("Anna lives in Oslo .\n")
    invoke("predict", out, "--data", corpus / "plain.txt", "-o", corpus / "plain.csv")
    invoke("predict", out, "--data", corpus / "new.conll", "-o", corpus / "new.parquet")
    assert '[""B-PER"", ""O"", ""O"", ""B-LOC"", ""O""]' in (corpus / "plain.csv").read_text()


def test_an_interrupted_run_ends_with_the_same_bits(tagged, corpus, masked_run, monkeypatch) -> None:
    from kptk.training.callbacks import ShowProgress

    out, _ = tagged
    step = ShowProgress.on_train_batch_end

    def stop(self, batch, logs=None):
        step(self, batch, logs)
        if self.step == 22:  # within an epoch of the second phase
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ShowProgress, "on_train_batch_end", stop)
        CliRunner().invoke(cli, [str(word) for word in command(corpus, masked_run, corpus / "stopped")])
    assert not (corpus / "stopped" / "summary.json").exists()
    invoke("finetune", "--resume", corpus / "stopped")
    ends = [json.loads((folder / "summary.json").read_text()) for folder in (out, corpus / "stopped")]
    for key in ("checksum", "loss", "validation", "test"):
        assert ends[0][key] == ends[1][key], key


def test_export(tagged) -> None:
    out, _ = tagged
    said = invoke("export", out, "--format", "keras", "--json")
    written = json.loads(said)
    assert written["input"] == {"shape": [None, 24], "dtype": "int32"} and written["difference"] < 1e-5
    assert written["class_names"] == list(TAGS)


def test_refusals_name_what_is_wrong(tagged, masked_run, corpus) -> None:
    out, _ = tagged
    (corpus / "odd.conll").write_text("Anna\tB-ANIMAL\n")
    assert "the tag 'B-ANIMAL' was not among the 4 tags" in refused("evaluate", out, "--data", corpus / "odd.conll")
    assert "holds plain rows" in refused("finetune", masked_run, "--task", "tagging", "--data", "home_intents")
    said = refused("finetune", masked_run, "--task", "classification", "--data", corpus / "odd.conll")
    assert "text_tasks/tagged_words reads them for --task tagging" in said
    (corpus / "bare.conll").write_text("Anna\nlives\n")
    said = refused("finetune", masked_run, "--task", "tagging", "--data", corpus / "bare.conll", "--out", corpus / "x")
    assert "at least two tags" in said and not (corpus / "x").exists()


def test_python_takes_words_and_tags(corpus) -> None:
    """Plain compile and fit on lists of words; the saved model predicts the same."""
    views = layer(16)
    keras.utils.set_random_seed(0)
    network = kptk.backbone(
        "bert", input_shape=(16,), vocabulary=views.tokens.vocabulary, layers=1, width=16, pool="cls", dropout=0.0
    )
    pooler = numpy(network.get_layer("pool").variables[0])
    model = kptk.finetune("weight", network, task="tagging", class_names=TAGS, preprocessor=views)
    x, y = zip(*sentences(48, 1), strict=True)
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(list(x), list(y), batch_size=16, epochs=6, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    # The task goes round the pooling, which keeps its bits and is never counted as trained.
    np.testing.assert_array_equal(numpy(network.get_layer("pool").variables[0]), pooler)
    table = model.table(list(x[:2]))
    assert [len(tags) for tags in table["tags"]] == [len(words) for words in x[:2]]
    model.save(corpus / "tagger.keras")
    loaded = kptk.load_model(corpus / "tagger.keras")
    assert loaded.table(list(x[:2]))["tags"].tolist() == table["tags"].tolist()
    assert loaded.predict([x[0]], verbose=0).shape == (1, 16, len(TAGS))
    with pytest.raises(InputError, match="x has 2 rows but y has 1"):
        model.fit([["a"], ["b"]], [["O"]], verbose=0)
