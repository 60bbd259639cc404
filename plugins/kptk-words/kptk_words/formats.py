"""Writes word vectors in the text and binary formats of word2vec and in that of GloVe, which gensim and others read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from kptk.errors import InputError, RunError
from kptk_words.keyed_vectors import KeyedVectors

FORMATS = ("word2vec", "word2vec-binary", "glove")


def write(vectors: KeyedVectors, path: Path, form: str) -> None:
    """Write a file, whole or not at all.

    Args:
        vectors: words without white space in them, and their vectors.
        path: where to.
        form: one of `FORMATS`: text with a line of sizes first; the same with the numbers as 4-byte floats; text without it.

    Raises:
        InputError: if a word cannot be written in these formats.
        RunError: if the file cannot be written.
    """
    spaced = next((word for word in vectors.words if not word or any(letter.isspace() for letter in word)), None)
    if spaced is not None:
        raise InputError(f"the word {spaced!r} holds white space, which separates words and numbers in {form} files.")
    part = path.with_name(f".part-{path.name}")
    try:
        with part.open("wb") as file:
            _write(vectors, file, form)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {path}: {error.strerror or error}") from error


def _write(vectors: KeyedVectors, file: BinaryIO, form: str) -> None:
    rows = vectors.vectors.astype("<f4")
    if form != "glove":
        file.write(f"{len(rows)} {rows.shape[1]}\n".encode())
    for word, row in zip(vectors.words, rows, strict=True):
        if form == "word2vec-binary":
            file.write(word.encode() + b" " + row.tobytes() + b"\n")
        else:
            # Nine digits give every 4-byte float back exactly.
            file.write(f"{word} {' '.join(np.char.mod('%.9g', row))}\n".encode())
