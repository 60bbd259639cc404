"""Reader of words with tags: CoNLL files and JSON lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kptk.errors import InputError
from kptk.reading import BROKEN, LONGEST_FILE, codec_of, is_test_row, open_binary, table_rows
from kptk_text_tasks.bad_rows import BadRows
from kptk_text_tasks.example_rows import ExampleRows
from kptk_text_tasks.named_columns import column

WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "labels", "pos_tags")
DOCUMENT = "-DOCSTART-"
"""The word with which CoNLL-2003 begins a document."""

Words = tuple[str, ...]


@dataclass(slots=True)
class _Found:
    words: list[Words] = field(default_factory=list)
    tags: list[Words | None] = field(default_factory=list)

    def add(self, words: Words, tags: Words | None) -> None:
        self.words.append(words)
        self.tags.append(tags)


def tagged_words(
    path: str,
    *,
    words: str = "",
    tags: str = "",
    tag_column: int = 0,
    encoding: str = "utf-8",
    on_bad_input: str = "error",
) -> ExampleRows:
    """Open sentences of words with a tag for each word.

    A CoNLL file has a word a line, then a tab (or spaces) and its tag, and an empty line behind each sentence; lines that
    begin with ``# `` before a sentence and ``-DOCSTART-`` are left out. A file of JSON lines has lists ``tokens`` and
    ``tags``; a field ``split`` that says train or test keeps the test rows apart, as `holdout`. Without tags, words to
    predict for.

    Args:
        path: a ``.conll``, ``.iob``, ``.iob2``, ``.bio`` or ``.tsv`` file, or ``.jsonl``, ``.ndjson`` or ``.parquet``.
        words: name of the field of words; by default tokens or words.
        tags: name of the field of tags; by default tags, ner_tags, labels or pos_tags; ``-`` for none.
        tag_column: which column of a CoNLL file holds the tags, from 2; 0 for the last.
        encoding: of the file, unless a byte order mark says otherwise.
        on_bad_input: ``"error"`` refuses sentences that cannot be used, ``"skip"`` leaves them out and lists them.

    Returns:
        A sentence a row: a tuple of words, and one of tags as target.

    Raises:
        InputError: if the file cannot be read, has words without tags beside words with tags, or tags without words.
    """
    file = Path(path)
    bad = BadRows(on_bad_input)
    parts = {False: _Found(), True: _Found()}
    if file.name.lower().removesuffix(".gz").removesuffix(".xz").endswith((".jsonl", ".ndjson", ".parquet")):
        _read_table(file, parts, bad, words, tags, encoding)
    else:
        _read_conll(file, parts[False], bad, encoding, tag_column)
    if parts[True].words and not parts[False].words:
        raise InputError(f"{file.name}: every row is marked as a test row, so there is nothing to learn from.")
    test = parts[True]
    holdout = (
        ExampleRows(test.words, test.tags, name=f"{file.name} test part", what="sentences") if test.words else None
    )
    train = parts[False]
    return ExampleRows(train.words, train.tags, name=file.name, what="sentences", skipped=bad.found, holdout=holdout)


def _read_table(path: Path, parts: dict[bool, _Found], bad: BadRows, words: str, tags: str, encoding: str) -> None:
    word_field = tag_field = ""
    for number, row in table_rows(path, encoding, nested=True):
        where = f"{path}, row {number:,}"
        if not word_field:
            word_field = column(str(path), list(row), words, "words", WORDS)
            tag_field = column(str(path), list(row), tags, "tags", TAGS, needed=False)
        found, given = row.get(word_field), row.get(tag_field) if tag_field else None
        if not _is_list(found) or not all(isinstance(word, str) for word in found or ()):
            reason = "tags without words" if given and found is None else f"'{word_field}' must be a list of words"
            bad.add(where, f"{reason}. Received: {_short(found)}")
        elif not found:
            bad.add(where, "tags without words" if given else "it has no words")
        elif given is not None and (not _is_list(given) or len(given) != len(found)):
            received = f"{len(given)} tags" if _is_list(given) else _short(given)
            bad.add(where, f"there must be one tag for each of its {len(found)} words. Received: {received}")
        elif not all(word.strip() for word in found):
            bad.add(where, f"word {[bool(word.strip()) for word in found].index(False) + 1} is empty")
        else:
            checked = None if given is None else tuple(str(tag) for tag in given)
            parts[is_test_row(row, where)].add(tuple(found), checked)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_conll(path: Path, found: _Found, bad: BadRows, encoding: str, tag_column: int) -> None:
    labelled: bool | None = None
    for first, lines in _sentences(path, encoding):
        words, tags, wrong = [], [], ""
        for number, line in lines:
            cells = line.split("\t") if "\t" in line else line.split()
            word, tag = cells[0].strip(), _tag(cells, tag_column)
            if not word:
                wrong = wrong or f"line {number:,} has a tag ({tag!r}) without a word"
            elif labelled is None:
                labelled = len(cells) > 1
            if labelled is not None and labelled != (len(cells) > 1):
                mine, others = ("no tag", "one") if labelled else ("a tag", "none")
                wrong = wrong or f"line {number:,} has {mine}, and the lines before it have {others}"
            elif word and labelled and not tag:
                wrong = (
                    wrong or f"line {number:,} has the word {word!r} without a tag in column {tag_column or len(cells)}"
                )
            words.append(word)
            tags.append(tag)
        if wrong:
            bad.add(f"{path}, sentence in line {first:,}", wrong)
        else:
            found.add(tuple(words), tuple(tags) if labelled else None)


def _tag(cells: list[str], tag_column: int) -> str:
    if len(cells) < 2 or tag_column > len(cells):
        return ""
    return cells[tag_column - 1 if tag_column else -1].strip()


def _sentences(path: Path, encoding: str) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Yield the number of the first line, and the lines, of each sentence."""
    codec = codec_of(path, encoding)
    gathered: list[tuple[int, str]] = []
    number = 0
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, encoding=codec) as lines:
            for number, line in enumerate(lines, 1):
                text = line.rstrip("\r\n")
                if len(text) > LONGEST_FILE or "\0" in text:
                    raise InputError(f"{path}, line {number:,} is no line of words and tags.")
                if text.strip() and not _apart(text, gathered):
                    gathered.append((number, text))
                elif gathered and not text.strip():
                    yield gathered[0][0], gathered
                    gathered = []
    except UnicodeError as error:
        raise InputError(
            f"{path}, line {number + 1:,} is not {encoding}: {error}. Say which encoding it has: -o data.encoding=latin-1"
        ) from None
    except BROKEN as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if gathered:
        yield gathered[0][0], gathered


def _apart(text: str, gathered: list[tuple[int, str]]) -> bool:
    """Whether a line is a comment before a sentence, or the beginning of a document."""
    return text.startswith(DOCUMENT) or (text.startswith("# ") and "\t" not in text and not gathered)
