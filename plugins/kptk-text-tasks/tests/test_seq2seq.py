"""Sequence to sequence: chrF, the decoder, what is refused, and a date that is learned to be written in another way."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytest.importorskip("kptk_text", reason="tokenisers and backbones come with kptk-text")
pytest.importorskip("kptk_finetune", reason="the decoder comes with the strategy encoder_decoder")
keras = backend.import_keras()

from text_task_helpers import invoke, refused

import kptk
from kptk.data import ArraySource
from kptk.testing.gradients import value_and_gradients
from kptk.training.examples import objects
from kptk.training.sequence_decoder import DECODER, READER, sequence_decoder
from kptk_text_tasks.chrf import chrf
from kptk_text_tasks.seq2seq import Seq2Seq
from kptk_text_tasks.text_pairs import text_pairs

SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven")


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def by_hand(truths, guesses) -> float:
    """chrF with NumPy, one order after the other, from sacrebleu's description."""
    table = np.zeros((6, 3))
    for truth, guess in zip(truths, guesses, strict=True):
        a, b = truth.replace(" ", ""), guess.replace(" ", "")
        for n in range(1, 7):
            x = Counter(zip(*[a[i:] for i in range(n)], strict=False))
            y = Counter(zip(*[b[i:] for i in range(n)], strict=False))
            table[n - 1] += [sum(min(x[g], y[g]) for g in y), sum(y.values()), sum(x.values())]
    used = (table[:, 1] > 0) & (table[:, 2] > 0)
    if not used.any():
        return 0.0
    p, r = (table[used, 0] / table[used, 1]).mean(), (table[used, 0] / table[used, 2]).mean()
    return 100 * 5 * p * r / (4 * p + r) if p + r else 0.0


@pytest.mark.parametrize(
    ("truths", "guesses"),
    [
        (["the cat sat"], ["the cat sat"]),
        (["the cat sat on the mat", "a dog"], ["the cat on a mat", "a dog ran"]),
        (["abc"], ["xyz"]),
        (["ab"], ["ab cd ef gh"]),
        (["", "abc"], ["x", "abd"]),
        ([""], [""]),
    ],
)
def test_chrf(truths, guesses) -> None:
    assert chrf(truths, guesses) == pytest.approx(by_hand(truths, guesses))


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Three small numbers in words, and the same in the opposite order."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(SMALL), (count, 3))
    return [(" ".join(SMALL[n] for n in row), " ".join(SMALL[n] for n in row[::-1])) for row in drawn]


def layer(length: int = 8):
    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=100, length=length)
    made.fit(ArraySource(objects([text for text, _ in pairs(100, 0)]), inputs="text"))
    return made


def network(views, **options):
    keras.utils.set_random_seed(0)
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": 1, "width": 32, "dropout": 0.0} | options
    return kptk.backbone("bert", input_shape=(views.length,), **sizes)


@pytest.mark.backends
def test_the_decoder_sees_the_text_and_what_it_has_written_and_nothing_else() -> None:
    views = layer()
    backbone = network(views)
    model = sequence_decoder(backbone, 6, layers=1)
    rng = np.random.default_rng(0)
    rows = rng.integers(5, views.tokens.vocabulary, (1, 8 + 7)).astype("int32")
    rows[0, 6:8] = 0  # padding of the text that is read
    before = numpy(model(rows))
    assert before.shape == (1, 6, 32)

    def changed(place: int) -> np.ndarray:
        other = rows.copy()
        other[0, place] = 5 + (other[0, place] - 4) % (views.tokens.vocabulary - 5)
        return np.abs(numpy(model(other)) - before).max(axis=(0, 2)) > 1e-6

    assert changed(0).all() and changed(5).all()
    for place in range(6):
        assert changed(8 + place).tolist() == [False] * place + [True] * (6 - place)
    assert not changed(14).any()  # the last place of a row is a target only
    # The same vectors out of the two halves, with which texts are written.
    read, written = (keras.ops.convert_to_tensor(part) for part in (rows[:, :8], rows[:, 8:14]))
    halves = model.get_layer(DECODER)([written, model.get_layer(READER)(read), keras.ops.not_equal(read, 0)])
    np.testing.assert_allclose(numpy(halves), before, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="`heads` must divide the backbone's width, 32"):
        sequence_decoder(backbone, 6, heads=5)


def test_rows_hold_the_text_and_its_target() -> None:
    views = layer()
    task = Seq2Seq(target_length=5)
    source = ArraySource(
        objects(["one two", "three"]), inputs="text", targets=objects(["two one", "one two three four five"]), name="x"
    )
    made = task.examples(source, views)
    rows, facts = made.read(np.arange(2)), views.tokens
    assert rows.shape == (2, 8 + 6) and views.decode(rows[0, :8]) == "[CLS] one two [SEP]"
    assert views.decode(rows[0, 8:]) == "[CLS] two one [SEP]"
    np.testing.assert_array_equal(task.targets(made), rows[:, 9:])
    assert facts.end not in rows[1, 9:] and "1 targets cut to 4 tokens" in made.describe()
    with pytest.raises(InputError, match="target of row 1 must be a text that is not empty"):
        task.examples(ArraySource(objects(["a", "b"]), inputs="text", targets=objects(["a", " "])), views)
    with pytest.raises(InputError, match="needs a text to write for each text"):
        task.targets(task.examples(ArraySource(objects(["a"]), inputs="text"), views))
    with pytest.raises(UsageError, match="`target_length` must be at least 3"):
        Seq2Seq(target_length=2).examples(source, views)


@pytest.mark.backends
def test_the_loss_counts_the_tokens_of_the_targets() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 3, 6)).astype("float32")
    labels = np.array([[5, 3, 0], [0, 0, 0]])
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    soft = 0.9 * np.eye(6)[labels[0, :2]] + 0.1 / 6
    wanted = -(soft * logs[0, :2]).sum() / 2
    value, (slope,) = value_and_gradients(lambda x: Seq2Seq(label_smoothing=0.1).loss(labels, x), logits)
    assert value == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(slope[0, :2], (np.exp(logs[0, :2]) - soft) / 2, rtol=1e-4, atol=1e-6)
    assert not slope[1].any() and not slope[0, 2].any()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"source": "a", "target": ""}, "its target, column 'target', must be a text that is not empty"),
        ({"source": "a", "target": None}, "must be a text that is not empty. Received: None"),
        ({"source": " ", "target": "b"}, "column 'source' must be a text that is not empty"),
    ],
)
def test_pairs_that_cannot_be_used(tmp_path, row, says) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({"source": "x", "target": "y"}) + "\n")
    with pytest.raises(InputError) as caught:
        text_pairs(str(path))
    assert says in str(caught.value) and "row 1" in str(caught.value)
    assert len(text_pairs(str(path), on_bad_input="skip").skipped) == 1
    assert text_pairs(str(path), source="source", target="-", on_bad_input="skip").targets is None


def test_it_learns_to_reverse_words() -> None:
    """Plain fit on texts; what it writes by itself is right for rows that it has not seen."""
    pytest.importorskip("keras_hub", reason="texts are written by KerasHub's samplers")
    views = layer()
    model = kptk.finetune(
        "encoder_decoder",
        network(views),
        task="seq2seq",
        preprocessor=views,
        target_length=6,
        layers=1,
        dropout=0.0,
        decoder_share=0.1,
        encoder_rate=1.0,
    )
    seen = dict(pairs(380, 1))
    x, y = list(seen), list(seen.values())
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(x, y, batch_size=32, epochs=30, verbose=0)
    new = [pair for pair in pairs(200, 2) if pair[0] not in seen]
    table = model.table([text for text, _ in new])
    right = np.mean([a == b for a, (_, b) in zip(table["prediction"], new, strict=True)])
    assert len(new) > 40 and right > 0.9, right
    model.task.sampler = "beam"
    assert (
        np.mean([a == b for a, (_, b) in zip(model.table([t for t, _ in new])["prediction"], new, strict=True)]) > 0.9
    )


@pytest.fixture(scope="module")
def reversing(corpus, masked_run):
    rows = [("train", *pair) for pair in pairs(60, 1)] + [("test", *pair) for pair in pairs(20, 2)]
    (corpus / "pairs.tsv").write_text("split\tsource\ttarget\n" + "".join("\t".join(row) + "\n" for row in rows))
    out = corpus / "reversing"
    invoke(
        *("finetune", masked_run, "--task", "seq2seq", "--strategy", "encoder_decoder", "--data", corpus / "pairs.tsv"),
        *("--out", out, "--epochs", 2, "--batch-size", 16, "-o", "target_length=12", "-o", "strategy.layers=1"),
    )
    return out


def test_the_whole_way(reversing, corpus) -> None:
    pytest.importorskip("keras_hub")
    found = json.loads(invoke("evaluate", reversing, "--data", corpus / "pairs.tsv", "--json"))["results"]
    figures = {row["metric"]: row["value"] for row in found}
    assert set(figures) == {"token_accuracy", "perplexity", "loss", "exact_match", "chrf"} and found[0]["rows"] == 20
    (corpus / "read.txt").write_text("one two three\nfour\n")
    invoke("predict", reversing, "--data", corpus / "read.txt", "-o", corpus / "out.jsonl", "-o", "task.sampler=beam")
    lines = [json.loads(line) for line in (corpus / "out.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == ["one two three", "four"]
    assert all(isinstance(line["prediction"], str) and line["tokens"] <= 11 for line in lines)
    written = json.loads(invoke("export", reversing, "--format", "keras", "--json"))
    assert written["input"]["shape"] == [None, 24 + 13] and written["difference"] < 1e-4


def test_a_task_that_writes_needs_a_decoder(masked_run, corpus, reversing) -> None:
    del reversing
    said = refused("finetune", masked_run, "--task", "seq2seq", "--data", corpus / "pairs.tsv")
    assert "writes texts, which takes a decoder: --strategy encoder_decoder" in said
    said = refused(
        "finetune", masked_run, "--task", "seq2seq", "--data", "home_intents", "--strategy", "encoder_decoder"
    )
    assert "learns from examples of the form text_pairs" in said
