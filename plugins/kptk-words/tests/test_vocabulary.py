"""Vocabulary, blocks and the preprocessor: what is learned, kept and refused."""

from __future__ import annotations

import numpy as np
import pytest

import kptk
from kptk.errors import InputError, UsageError
from kptk_words.token_blocks import TokenBlocks
from kptk_words.vocabulary import Vocabulary, tokeniser


def texts(*rows: str) -> kptk.ArraySource:
    return kptk.ArraySource(np.array(rows, dtype=object), inputs="text", name="texts")


def words(**options):
    from kptk.training import backend

    backend.import_keras()
    from kptk_words.words import Words

    return Words(**{"min_count": 1, "seed": 0} | options)


def test_words_are_numbered_by_frequency_then_alphabet() -> None:
    vocabulary = Vocabulary.count([["b", "a", "b"], ["c", "a", "d"]], min_count=1, max_words=3)
    assert (vocabulary.words, vocabulary.counts, vocabulary.total) == (("a", "b", "c"), (2, 2, 1), 6)
    assert vocabulary.encode(["c", "x", "a"]).tolist() == [4, 1, 2]
    assert vocabulary.numbered_counts().tolist() == [0, 1, 2, 2, 1]
    assert Vocabulary.from_config(vocabulary.to_config()) == vocabulary


def test_rare_words_are_forgotten_when_there_are_too_many(monkeypatch) -> None:
    monkeypatch.setattr("kptk_words.vocabulary.DISTINCT", 50)
    documents = [["often", "also", f"once{number}"] for number in range(500)]
    assert set(Vocabulary.count(documents, min_count=2).words) == {"often", "also"}


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ((), {}, "no words"),
        (("", "  "), {}, "no words"),
        (("one one one",), {}, "only 1 of 1 different words"),
        (("a b c",), {"min_count": 9}, "'c', 1 times"),
        (("a b c",), {"pattern": "[0-9]+"}, "`pattern` match nothing"),
    ],
)
def test_bad_corpora_are_refused(rows, options, said) -> None:
    with pytest.raises(InputError, match="texts: ") as error:
        words(**options).fit(texts(*rows))
    assert said in str(error.value)


def test_a_bad_pattern_is_refused() -> None:
    with pytest.raises(InputError, match="regular expression"):
        tokeniser("(", lowercase=True)


def test_texts_become_rows_of_one_length() -> None:
    layer = words(length=4)
    layer.fit(texts("The cat, the dog", "a CAT"))
    assert layer.vocabulary.words == ("cat", "the", "a", "dog")
    rows = layer.prepare(np.array(["Cat dog bird the the the cat", "bird"], dtype=object))
    assert rows.tolist() == [[2, 5, 3, 3], [1, 0, 0, 0]]
    kept = words(length=4, unknown="keep")
    kept.learn(layer.vocabulary)
    assert kept.prepare(np.array(["Cat bird"], dtype=object)).tolist() == [[2, 1, 0, 0]]


def test_training_reads_the_corpus_in_blocks_with_ends_of_documents() -> None:
    layer = words(block=4)
    layer.fit(texts("a b a", "unseen", "b a b a"))
    layer.learn(Vocabulary(("a", "b"), (4, 3), 7, 2))
    blocks = layer.prepared(texts("a b a", "unseen", "b a b a"), training=True)
    assert isinstance(blocks, TokenBlocks)
    assert blocks.read(np.arange(len(blocks))).tolist() == [[2, 3, 2, 0], [3, 2, 3, 2], [0, 0, 0, 0]]
    assert blocks.tokens == 9
    again = layer.prepared(texts("a b a", "unseen", "b a b a"), training=True)
    assert blocks.fingerprint() == again.fingerprint()
    assert blocks.fingerprint() != layer.prepared(texts("a b b"), training=True).fingerprint()


def test_a_corpus_without_any_known_word_is_refused() -> None:
    layer = words()
    layer.fit(texts("a b"))
    with pytest.raises(InputError, match="no word of it is in the vocabulary"):
        layer.prepared(texts("c d"), training=True)


def test_memory_does_not_grow_with_the_corpus() -> None:
    """Blocks are read from a file: twenty times the text takes no more memory than a block and a batch of texts."""
    import tracemalloc

    class Endless(kptk.Source):
        inputs = "text"

        def __len__(self) -> int:
            return self.rows

        def read(self, rows):
            return np.array([f"{'word ' * 200} other{row % 50}" for row in rows], dtype=object)

        def fingerprint(self) -> str:
            return str(self.rows)

        def describe(self) -> str:
            return "texts"

    layer = words()
    peaks = []
    for rows in (2048, 20480):
        source = Endless()
        source.rows = rows
        tracemalloc.start()
        layer.fit(source)
        blocks = layer.prepared(source, training=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert blocks.tokens == rows * 202
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_needs_a_fit_before_it_numbers_words() -> None:
    with pytest.raises(UsageError, match="no vocabulary yet"):
        words().prepare(np.array(["a"], dtype=object))


def test_state_is_in_the_configuration() -> None:
    layer = words(sample=0.1)
    layer.fit(texts("a b a b c"))
    again = type(layer).from_config(layer.get_config())
    assert again.vocabulary == layer.vocabulary
    assert again.get_config() == layer.get_config()
