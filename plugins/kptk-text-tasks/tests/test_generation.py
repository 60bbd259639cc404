"""Generation: its loss and head, what it refuses, and continuations by each sampler."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
keras = backend.import_keras()

from text_task_helpers import NAMES, TOWNS, invoke, refused, sentences

import kptk
from kptk.data import ArraySource
from kptk.testing.gradients import value_and_gradients
from kptk.training.examples import objects
from kptk_text_tasks.generation import Generation, next_tokens
from kptk_text_tasks.samplers import build_sampler
from kptk_text_tasks.token_losses import counts, figures, token_losses


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.backends
def test_losses_of_tokens() -> None:
    """Value and gradient against NumPy, with label smoothing and without; counts and perplexity of the same."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 5)).astype("float32")
    targets = np.array([[4, 0, -1], [-1, 2, 2]])
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    there = targets >= 0
    picked = -np.take_along_axis(logs, np.maximum(targets, 0)[..., None], -1)[..., 0]
    for smoothing in (0.0, 0.2):
        wanted = ((1 - smoothing) * picked - smoothing * logs.mean(-1)) * there
        np.testing.assert_allclose(numpy(token_losses(targets, logits, smoothing)), wanted, rtol=1e-5, atol=1e-6)
        value, (slope,) = value_and_gradients(lambda x, s=smoothing: keras.ops.sum(token_losses(targets, x, s)), logits)
        soft = (1 - smoothing) * np.eye(5)[np.maximum(targets, 0)] + smoothing / 5
        assert value == pytest.approx(wanted.sum(), rel=1e-5)
        np.testing.assert_allclose(slope, (np.exp(logs) - soft) * there[..., None], rtol=1e-4, atol=1e-6)
    counted = numpy(counts(targets, logits))
    right = ((logits.argmax(-1) == targets) & there).sum(1)
    np.testing.assert_allclose(counted, np.stack([(picked * there).sum(1), there.sum(1), right], 1), rtol=1e-5)
    found = figures(counted)
    assert found["perplexity"] == pytest.approx(np.exp((picked * there).sum() / 4), rel=1e-5)
    assert found["token_accuracy"] == right.sum() / 4


def layer(length: int = 24):
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=120, length=length)
    made.fit(ArraySource(objects([" ".join(words) for words, _ in sentences(60, 1)]), inputs="text"))
    return made


def language_model(views, **options):
    keras.utils.set_random_seed(0)
    network = kptk.backbone(
        "causal_transformer",
        input_shape=(views.length,),
        vocabulary=views.tokens.vocabulary,
        layers=1,
        width=16,
        dropout=0.0,
    )
    return kptk.finetune("weight", network, task="generation", preprocessor=views, **options)


def texts(count: int, seed: int) -> list[str]:
    return [" ".join(words) for words, _ in sentences(count, seed)]


@pytest.mark.backends
def test_the_head_is_the_backbones_own_table() -> None:
    """No vector of a token is there twice, and the table learns from the predictions, too."""
    views = layer()
    model = language_model(views)
    table = model.backbone.get_layer("embed").get_layer("token_embedding").embeddings
    assert sum(variable is table for variable in model.variables) == 1
    assert [variable.shape for variable in model.task.variables] == [(views.tokens.vocabulary,)]
    rows = model.examples(texts(4, 0))
    x = rows.read(np.arange(4))
    vectors = numpy(model.encode(x, False))
    np.testing.assert_allclose(numpy(model(x)), vectors @ numpy(table).T + numpy(model.task.bias), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(numpy(next_tokens(x))[:, :-1][x[:, 1:] > 0], x[:, 1:][x[:, 1:] > 0])
    before = numpy(table).copy()
    unused = np.setdiff1d(np.arange(5, views.tokens.vocabulary), x)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(texts(4, 0), batch_size=4, epochs=1, verbose=0)
    assert len(unused) and (numpy(table)[unused] != before[unused]).any(axis=1).all()  # by the softmax alone


def test_long_texts_go_on_in_further_rows_of_one_group() -> None:
    views = layer(16)
    task = Generation()
    long = " ".join(texts(8, 0))
    rows = task.examples(ArraySource(objects([long, "Anna ."]), inputs="text"), views)
    ids = rows.read(np.arange(len(rows)))
    assert rows.groups.tolist()[-1] == 1 and (rows.groups[:-1] == 0).all() and len(rows) > 3
    body = np.concatenate([row[1:][row[1:] > 0] for row in ids[rows.groups == 0]])
    pieces = views.pieces([long])[0].ids
    np.testing.assert_array_equal(body, [*pieces, views.tokens.end])  # every piece once, and one end
    with pytest.raises(InputError, match="row 0 must be a text"):
        task.examples(ArraySource(objects([("a", "b")]), inputs="text"), views)


def test_a_network_that_sees_ahead_is_refused(masked_run, corpus) -> None:
    said = refused(
        "finetune", masked_run, "--task", "generation", "--data", corpus / "corpus.txt", "--out", corpus / "no"
    )
    assert "reads from left to right" in said and "kptk train --plugin causal" in said and not (corpus / "no").exists()


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="package keras_hub is not installed: pip install kptk-keras-nlp"):
        build_sampler("greedy")
    with pytest.raises(UsageError, match="`sampler` must be one of greedy, beam"):
        build_sampler("best")


TOWN_OF = dict(zip(NAMES, TOWNS, strict=True))


def told(count: int, seed: int) -> str:
    """Sentences in which every word says the next one, but for the town."""
    names = np.random.default_rng(seed).choice(NAMES, count)
    return "".join(f"in {TOWN_OF[name]} {name} lives .\n" for name in names)


@pytest.fixture(scope="module")
def written(corpus, causal_run):
    """A language model that goes on with its training on sentences, and what it scored."""
    (corpus / "more.txt").write_text(told(1000, 5))
    out = corpus / "generation"
    invoke(
        *(
            "finetune",
            causal_run,
            "--task",
            "generation",
            "--data",
            corpus / "more.txt",
            "--out",
            out,
            "--strategy",
            "weight",
        ),
        *("--epochs", 5, "--batch-size", 16, "-o", "train.learning_rate=0.02", "-o", "train.schedule=constant"),
    )
    return out


def test_perplexity_on_other_texts(written, corpus) -> None:
    summary = json.loads((written / "summary.json").read_text())
    # One of six towns in six tokens: a perplexity of 6 ** (1 / 6), 1.35, is the least that can be learned.
    assert summary["validation"]["perplexity"] < 1.6 < summary["first_loss"]
    (corpus / "held.txt").write_text(told(30, 9))
    said = json.loads(invoke("evaluate", written, "--data", corpus / "held.txt", "--json"))
    found = {row["metric"]: row["value"] for row in said["results"]}
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]), rel=1e-6) and found["perplexity"] < 1.6
    assert set(found) == {"perplexity", "loss", "token_accuracy"} and said["results"][0]["rows"] == 30


@pytest.fixture
def hub():
    pytest.importorskip("keras_hub", reason="texts are written by KerasHub's samplers")


def continuations(written, corpus, name: str, *options: str) -> list[dict]:
    (corpus / "prompts.txt").write_text("in Paris Anna\nin Madrid\n" + told(9, 3).replace("\n", " ") + "in Oslo\n")
    more = [word for option in options for word in ("-o", f"task.{option}")]
    invoke("predict", written, "--data", corpus / "prompts.txt", "-o", corpus / f"{name}.jsonl", *more)
    return [json.loads(line) for line in (corpus / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("sampler", ["greedy", "beam", "random", "top_k", "top_p"])
def test_each_sampler_continues_texts(hub, written, corpus, sampler) -> None:
    rows = continuations(written, corpus, sampler, f"sampler={sampler}", "k=3", "temperature=0.3")
    assert rows[0]["prompt"] == "in Paris Anna" and rows[0]["continuation"] == "lives." and rows[0]["ended"]
    assert rows[1]["continuation"] == "emil lives." and rows[1]["tokens"] == 3
    assert 0 < rows[2]["tokens"] <= 12 and rows[2]["prompt"].endswith(
        "in Oslo"
    )  # a long prompt leaves half a row of room


def test_of_a_long_prompt_the_end_is_read() -> None:
    views = layer(24)
    task = Generation(new_tokens=10)
    rows = task.prompts(ArraySource(objects([" ".join(texts(9, 3)), "Anna"]), inputs="text"), views)
    pieces, line = views.pieces([" ".join(texts(9, 3))])[0].ids, rows.read(np.array([0]))[0]
    np.testing.assert_array_equal(line, [views.tokens.start, *pieces[-13:], *[0] * 10])
    assert "1 cut to their last 13 tokens" in rows.describe() and rows.notes(np.array([1]))[0].count == 2


def test_draws_follow_the_seed_and_are_no_longer_than_they_may_be(hub, written, corpus) -> None:
    options = ("sampler=random", "temperature=4")
    first, again = (continuations(written, corpus, "seeds", *options, "seed=1") for _ in range(2))
    other = continuations(written, corpus, "seeds", *options, "seed=2", "new_tokens=2")
    assert first == again and [row["continuation"] for row in first] != [row["continuation"] for row in other]
    assert max(row["tokens"] for row in other) == 2


def test_greedy_is_the_likeliest_token_each_time_and_beam_the_likelier_text(hub, written) -> None:
    """Against a loop over plain forward passes; and a wide beam finds the likeliest text of all short ones."""
    model = kptk.load_model(written / "model.keras")
    facts = model.preprocessor.tokens
    prompt = [facts.start, *model.preprocessor.pieces(["in"])[0].ids]
    banned = [number for number in facts.specials if number != facts.end]

    def logs(rows):
        padded = np.zeros((len(rows), 24), "int32")
        for line, row in zip(padded, rows, strict=True):
            line[: len(row)] = row
        found = numpy(model.predictions(padded))[np.arange(len(rows)), [len(row) - 1 for row in rows]].astype("float64")
        found[:, banned] = -np.inf
        return found - np.log(np.exp(found).sum(axis=1, keepdims=True))

    ids = list(prompt)
    while ids[-1] != facts.end and len(ids) < 24:
        ids.append(int(logs([ids])[0].argmax()))
    assert model.table(["in"])["continuation"][0] == model.preprocessor.decode(ids[len(prompt) : -1])
    # Beam search by hand, in which a text that has ended stays as it is.
    beams = [(0.0, list(prompt))]
    while not all(row[-1] == facts.end for _, row in beams) and max(len(row) for _, row in beams) < 24:
        grown = [(value, row) for value, row in beams if row[-1] == facts.end]
        for value, row in beams:
            if row[-1] != facts.end:
                step = logs([row])[0]
                grown += [(value + step[token], [*row, int(token)]) for token in np.argsort(-step)[:4]]
        beams = sorted(grown, key=lambda beam: -beam[0])[:4]
    model.task.sampler, model.task.beams = "beam", 4
    assert model.table(["in"])["continuation"][0] == model.preprocessor.decode(beams[0][1][len(prompt) : -1])


def test_export_gives_the_next_token(written) -> None:
    found = json.loads(invoke("export", written, "--format", "keras", "--json"))
    assert found["difference"] < 1e-4
    assert "kptk" not in json.dumps(keras.saving.load_model(found["path"]).get_config())
