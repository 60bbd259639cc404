"""Tokens: sentences, vocabularies, windows, pairs, and what they refuse."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from kptk.data import ArraySource, Subset
from kptk.errors import InputError, UsageError
from kptk.training import stream
from kptk_text.home_intents import home_intents
from kptk_text.sentences import sentences
from kptk_text.text_tokens import TextTokens
from kptk_text.wiki_mini import wiki_mini

DOCUMENTS = [
    "The cat sat on the mat. It was warm there! Then Dr. Wu came in.",
    "A dog ran along the river. The river was cold.",
    "One sentence only here.",
    "Rain fell all day. The streets were wet. Nobody went out. We stayed at home.",
] * 30


def source(texts=DOCUMENTS):
    return ArraySource(np.array(texts, dtype=object), inputs="text", name="documents")


def fitted(texts=DOCUMENTS, **arguments) -> TextTokens:
    layer = TextTokens(**{"vocabulary": 120, "length": 16, "seed": 0} | arguments)
    layer.fit(source(texts))
    return layer


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Mr. Smith met J. S. Bach at 5 p.m. today.", ["Mr. Smith met J. S. Bach at 5 p.m. today."]),
        ("It cost 3.50 dollars. He paid.", ["It cost 3.50 dollars.", "He paid."]),
        ("'Why?' she said. \"No.\" He left.", ["'Why?' she said.", '"No."', "He left."]),
        ("line one\nline two\n\nline three", ["line one", "line two", "line three"]),
        ("see e.g. Figure 2. Then go on.", ["see e.g. Figure 2.", "Then go on."]),
        ("", []),
    ],
)
def test_sentences(text, wanted) -> None:
    assert sentences(text) == wanted


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_vocabulary_is_learned_and_kept(kind) -> None:
    layer = fitted(tokenizer=kind, vocabulary=120 if kind == "wordpiece" else 400)
    facts = layer.tokens
    assert facts.specials == (0, 1, 2, 3, 4) and facts.mask == 4 and facts.start == 2 and facts.end == 3
    assert facts.vocabulary <= layer.vocabulary
    again = TextTokens.from_config(json.loads(json.dumps(layer.get_config())))
    rows = np.array(["the cat ran", "the river"], dtype=object)
    np.testing.assert_array_equal(again.prepare(rows), layer.prepare(rows))
    assert "the cat ran" in layer.decode(layer.prepare(rows)[0])
    assert fitted(tokenizer=kind, vocabulary=layer.vocabulary)._state == layer._state
    words = [layer.tokeniser.id_to_token(int(number)) for number in np.flatnonzero(facts.continues)]
    assert words and not any(word.startswith("Ġ") for word in words)
    assert all(word.startswith("##") for word in words) == (kind == "wordpiece")


def test_rows_are_cut_padded_and_lower_case() -> None:
    layer = fitted(length=8)
    rows = layer.prepare(np.array(["the", "THE", "the cat " * 20, ""], dtype=object))
    assert rows.shape == (4, 8) and rows.dtype == np.int32
    assert rows[0, 0] == 2 and rows[0, 2] == 3 and not rows[0, 3:].any()
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[2].all() and rows[2, -1] == 3
    np.testing.assert_array_equal(rows[3], [2, 3, 0, 0, 0, 0, 0, 0])


def test_windows_hold_every_token_once_in_order() -> None:
    layer = fitted()
    windows = layer.prepared(source(), training=True)
    rows = windows.read(np.arange(len(windows)))
    assert (rows[:, 0] == 2).all()
    assert ((rows == 3).any(axis=1)).all()
    wanted = []
    for text in DOCUMENTS:
        wanted += [*layer.tokeniser.encode(text, add_special_tokens=False).ids, 3]
    got = []
    for row in rows:
        body = row[1:][row[1:] > 0].tolist()
        got += body

    def strip(ids):
        return [number for number in ids if number != 3]

    assert strip(got) == strip(wanted)
    assert "windows of 16 tokens" in windows.describe()
    np.testing.assert_array_equal(windows.read(np.array([5, 2])), rows[[5, 2]])


def test_sentences_and_texts_as_rows() -> None:
    layer = fitted(examples="sentences")
    rows = layer.prepared(source(), training=True)
    assert len(rows) == sum(len(sentences(text)) for text in DOCUMENTS)
    assert layer.decode(rows.read(np.array([3]))[0]).startswith("[CLS] a dog ran")
    assert len(fitted(examples="texts").prepared(source(), training=True)) == len(DOCUMENTS)


def pairs_of(examples: str, texts=None, length: int = 64):
    layer = TextTokens(vocabulary=4000, length=length, examples=examples, seed=0)
    articles = wiki_mini(rows="article") if texts is None else source(texts)
    layer.fit(articles)
    return layer, layer.prepared(articles, training=True)


def test_pairs_have_the_shares_of_berts_authors() -> None:
    layer, pairs = pairs_of("next")
    assert pairs.row_shape == layer.prepared_shape(()) == (3, 64)
    assert layer.view_shape((3, 64)) == (2, 64)
    rows = pairs.read(np.arange(0, len(pairs), 5))
    used = (rows[:, 0] > 0).sum(axis=1)
    # create_pretraining_data.py on short documents: 0.549 random, 0.536 full; here documents are long
    assert 0.47 < rows[:, 2, 0].mean() < 0.58
    assert used.max() == 64 and (used >= 5).all()
    for row in rows:
        first_end = int(np.flatnonzero(row[0] == 3)[0])
        last = int((row[0] > 0).sum()) - 1
        assert row[0, 0] == 2 and row[0, last] == 3 and first_end < last
        assert not row[1, : first_end + 1].any()
        assert row[1, first_end + 1 : last + 1].all() and not row[1, last + 1 :].any()
        assert not row[2, 1:].any()
    np.testing.assert_array_equal(pairs.read(np.array([7])), pairs.read(np.array([7])))


def test_true_pairs_follow_each_other_and_swapped_ones_are_swapped() -> None:
    for examples in ("next", "order"):
        layer, pairs = pairs_of(examples, [" ".join(f"Sentence {d} {n}." for n in range(8)) for d in "abcdefgh"], 48)
        seen = set()
        for row in pairs.read(np.arange(len(pairs))):
            text = layer.decode(row[0])
            first, second = text.split("[SEP]")[:2]
            letters = [
                part.split()[1]
                for part in (first + second).replace("[CLS]", "").split(".")
                if part.strip()[:8] == "sentence" and len(part.split()) == 3
            ]
            numbers = [
                int(part.split()[2])
                for part in (first + second).replace("[CLS]", "").split(".")
                if len(part.split()) == 3
            ]
            answer = int(row[2, 0])
            seen.add(answer)
            if examples == "next" and not answer:
                assert len(set(letters)) == 1 and numbers == sorted(numbers)
            if examples == "next" and answer:
                assert len(set(letters)) == 2
            if examples == "order":
                assert len(set(letters)) == 1
                assert (numbers == sorted(numbers)) == (not answer)
        assert seen == {0, 1}


def test_false_pairs_are_drawn_anew_in_each_epoch_and_resumable() -> None:
    for examples in ("next", "order"):
        _, pairs = pairs_of(examples, [" ".join(f"Sentence {d} {n}." for n in range(30)) for d in "abcdefgh"], 48)
        every = np.arange(len(pairs))
        first, second, again = (pairs.at_epoch(epoch).read(every) for epoch in (0, 1, 1))
        np.testing.assert_array_equal(first, pairs.read(every))
        np.testing.assert_array_equal(second, again)
        changed = (first[:, 2, 0] != second[:, 2, 0]).mean()
        assert 0.2 < changed < 0.8 and 0.3 < second[:, 2, 0].mean() < 0.8
        steps = 2 * (len(pairs) // 4)
        whole = [batch for (batch,) in stream.batches(pairs, 4, 0, 0, steps)]
        rest = [batch for (batch,) in stream.batches(pairs, 4, 0, steps - 3, steps)]
        np.testing.assert_array_equal(np.stack(whole[-3:]), np.stack(rest))
        rows = stream.batch_rows(len(pairs), 4, 0, steps - 1)
        np.testing.assert_array_equal(whole[-1], second[rows])
        part = Subset(pairs, every[:5], "five")
        np.testing.assert_array_equal(part.at_epoch(1).read(np.array([4])), second[4:5])


def test_pairs_that_cannot_be_made() -> None:
    layer = fitted(examples="next")
    with pytest.raises(InputError, match="no text has two sentences"):
        layer.prepared(source(["One sentence.", "Another one."]), training=True)
    with pytest.raises(InputError, match="there is only one"):
        layer.prepared(source(["One sentence. Another one."]), training=True)


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ({"vocabulary": 12}, UsageError, "`vocabulary` must be at least"),
        ({"tokenizer": "sentencepiece"}, InputError, "or a local folder with a tokeniser"),
        ({"tokenizer": "."}, InputError, "holds no tokeniser"),
    ],
)
def test_vocabularies_that_cannot_be(arguments, kind, sentence, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=sentence):
        fitted(**arguments)


def test_arrays_that_are_no_tokens() -> None:
    layer = fitted()
    with pytest.raises(InputError, match="must hold texts, or token numbers"):
        layer.check(np.zeros((3, 16), "float32"))
    with pytest.raises(InputError, match="must be a text"):
        layer.prepare(np.array(["a", 3.5], dtype=object))
    with pytest.raises(UsageError, match="no vocabulary yet"):
        TextTokens().prepare(np.array(["a"], dtype=object))


def test_a_folder_of_hugging_face_or_keras_hub_gives_its_vocabulary(tmp_path) -> None:
    trained = fitted()
    words = [trained.tokeniser.id_to_token(number) for number in range(trained.tokens.vocabulary)]
    rows = np.array(["The cat ran along the river"], dtype=object)
    (tmp_path / "hf").mkdir()
    trained.tokeniser.save(str(tmp_path / "hf" / "tokenizer.json"))
    (tmp_path / "vocab").mkdir()
    (tmp_path / "vocab" / "vocab.txt").write_text("\n".join(words))
    (tmp_path / "hub" / "assets" / "tokenizer").mkdir(parents=True)
    (tmp_path / "hub" / "assets" / "tokenizer" / "vocabulary.txt").write_text("\n".join(words))
    (tmp_path / "hub" / "tokenizer.json").write_text(json.dumps({"module": "keras_hub", "config": {"lowercase": True}}))
    for name in ("hf", "vocab", "hub"):
        layer = TextTokens(tokenizer=str(tmp_path / name), length=16)
        layer.fit(source())
        np.testing.assert_array_equal(layer.prepare(rows), trained.prepare(rows))
    (tmp_path / "vocab" / "vocab.txt").write_text("\n".join(["[UNK]", *words[2:]]))
    with pytest.raises(InputError, match="not one of BERT's kind"):
        TextTokens(tokenizer=str(tmp_path / "vocab")).fit(source())


def test_the_control_without_a_network_tells_intents_apart() -> None:
    from sklearn.linear_model import LogisticRegression

    layer = TextTokens(vocabulary=500, length=16)
    data = home_intents()
    layer.fit(data)
    train, test = layer.prepared(data), layer.prepared(data.holdout())
    x, xt = layer.raw_features(train, train), layer.raw_features(train, test)
    score = LogisticRegression(C=10, max_iter=500).fit(x, train.labels).score(xt, test.labels)
    assert score > 0.95


def test_memory_does_not_grow_with_the_corpus(tmp_path) -> None:
    from kptk_text.text_file import text_file

    line = "the cat sat on the mat and the dog ran along the river while rain fell all day in the streets "
    path = tmp_path / "big.txt"
    with path.open("w") as file:
        for number in range(6000):
            file.write(line * 8 + str(number) + "\n")
    layer, data = fitted(), text_file(str(path))
    tracemalloc.start()
    windows = layer.prepared(data, training=True)
    windows.read(np.arange(10))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(windows.store.tokens) > 900_000
    assert kept < 700_000  # 24 bytes a text and no token


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_pieces_say_where_they_are(kind) -> None:
    """Whatever the tokeniser does to a text, the places are those of the text as it is written."""
    layer = fitted(tokenizer=kind, vocabulary=400)
    text = f"  The  {'Café' if kind == 'wordpiece' else 'Cafe'} by the river\twas COLD."  # a byte of a letter has its place, too
    (found,) = layer.pieces([text])
    assert "".join(text[a:b] for a, b in zip(found.starts, found.ends, strict=True)) == "".join(text.split())
    assert not any(text[a].isspace() for a, b in zip(found.starts, found.ends, strict=True) if a < b)
    assert (found.words == 0).all()
    words = ["The", "streets", "\x01", "cold."]
    (found,) = layer.pieces([words])
    assert sorted(set(found.words.tolist())) == [0, 1, 2, 3] and (np.diff(found.words) >= 0).all()
    for number, word in enumerate(words):
        mine = found.words == number
        assert (
            number == 2 or "".join(word[a:b] for a, b in zip(found.starts[mine], found.ends[mine], strict=True)) == word
        )
    assert layer.pieces([]) == []
