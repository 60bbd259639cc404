"""Batches are a pure function of the seed and the step."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.data import ArraySource, Subset, limited
from kptk.errors import InputError
from kptk.training.stream import batch_rows, batches, steps_per_epoch


def source(rows: int = 50) -> ArraySource:
    return ArraySource(np.arange(rows, dtype="float32")[:, None], np.arange(rows) % 5, inputs="table")


def test_an_epoch_visits_every_row_once_but_the_remainder() -> None:
    steps = steps_per_epoch(50, 8)
    rows = np.concatenate([batch_rows(50, 8, 0, step) for step in range(steps)])
    assert steps == 6
    assert len(np.unique(rows)) == 48


def test_epochs_and_seeds_differ() -> None:
    first, second = (batch_rows(50, 10, 0, step) for step in (0, 5))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, batch_rows(50, 10, 1, 0))


@pytest.mark.parametrize("start", [0, 3, 7, 11])
def test_a_stream_begun_late_equals_the_rest_of_the_whole(start) -> None:
    whole = list(batches(source(), 16, 4, 0, 12))
    late = list(batches(source(), 16, 4, start, 12))
    assert len(late) == 12 - start
    for (got,), (wanted,) in zip(late, whole[start:], strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_labels_come_with_their_rows() -> None:
    for x, y in batches(source(), 16, 0, 0, 6, labels=True):
        np.testing.assert_array_equal(x[:, 0] % 5, y)


def test_an_error_while_reading_reaches_the_caller() -> None:
    class Broken(ArraySource):
        def read(self, rows):
            raise OSError("gone")

    stream = batches(Broken(np.zeros((20, 2))), 4, 0, 0, 3)
    with pytest.raises(OSError, match="gone"):
        next(stream)


def test_limit_keeps_seeded_rows() -> None:
    some, same, other = (limited(source(), 10, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(some.read(np.arange(10)), same.read(np.arange(10)))
    assert some.fingerprint() != other.fingerprint()
    assert limited(source(), 0, 0).describe() == source().describe()
    assert len(limited(source(), 500, 0)) == 50


def test_subset_takes_labels_along() -> None:
    part = Subset(source(), np.array([7, 3]), "two")
    np.testing.assert_array_equal(part.labels, [2, 3])
    np.testing.assert_array_equal(part.read(np.array([1, 0]))[:, 0], [3, 7])


def test_labels_and_rows_must_agree() -> None:
    with pytest.raises(InputError, match="10 rows but y has 9"):
        ArraySource(np.zeros((10, 2)), np.zeros(9))


def test_fingerprint_tells_content_apart() -> None:
    x = np.zeros((9, 3), "uint8")
    before = ArraySource(x.copy()).fingerprint()
    x[8, 2] = 1
    assert ArraySource(x).fingerprint() != before
