"""Copies between the rows of pre-training, of the probe and of the test are found and counted."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.data import ArraySource
from kptk.errors import InputError
from kptk.training.overlap import overlap, row_hashes

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 256, (60, 4, 4, 1)).astype("uint8")


def source(rows: np.ndarray) -> ArraySource:
    return ArraySource(rows, np.arange(len(rows)) % 2)


def test_a_planted_leak_is_found() -> None:
    test = ROWS[40:].copy()
    test[:3] = ROWS[5:8]  # learned from
    test[3:5] = ROWS[25:27]  # pre-trained on
    found = overlap(source(ROWS[:20]), source(test), lambda: source(ROWS[10:40]))
    assert (found.pretraining, found.train, found.test, found.between) == (30, 10, 2, 3)
    said = " ".join(found.sentences(20, 20))
    assert "Warning: 2 of 20 test rows are exact copies of rows that the encoder was pre-trained on" in said
    assert "Warning: 3 of 20 test rows are exact copies of labelled rows to learn from" in said
    assert "Note: 10 of 20 labelled rows to learn from were seen in pre-training" in said


def test_nothing_is_said_of_separate_rows() -> None:
    found = overlap(source(ROWS[:20]), source(ROWS[20:40]), lambda: source(ROWS[40:]))
    assert (found.train, found.test, found.between) == (0, 0, 0)
    assert found.sentences(20, 20) == []


def test_a_row_that_differs_in_one_number_is_no_copy() -> None:
    other = ROWS[:20].copy()
    other[:, 0, 0, 0] ^= 1
    assert overlap(source(ROWS[:20]), source(other), None).between == 0


def test_data_that_is_gone_is_said() -> None:
    def gone():
        raise InputError("no file at /data/x.npz.")

    found = overlap(source(ROWS[:20]), source(ROWS[20:]), gone)
    assert found.test is None
    assert found.sentences(20, 40) == [
        "Note: whether rows of this data were pre-trained on could not be checked: its data cannot be read any more "
        "(no file at /data/x.npz)."
    ]
    assert "a model file does not say" in overlap(source(ROWS[:20]), source(ROWS[20:]), None).unknown


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_hashes_tell_kinds_and_shapes_apart(dtype: str) -> None:
    rows = ROWS[:4].astype(dtype)
    assert len(set(row_hashes(source(rows)))) == 4
    assert not set(row_hashes(source(rows))) & set(row_hashes(source(ROWS[:4])))
    texts = np.array(["a b", "a  b", "a b"], dtype=object)
    hashes = row_hashes(ArraySource(texts, np.array([0, 1, 0]), inputs="text"))
    assert hashes[0] == hashes[2] != hashes[1]
