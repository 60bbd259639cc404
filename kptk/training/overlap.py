"""Do labelled rows come again that the encoder was pre-trained on, or that the probe learned from? Exact copies, by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import KptkError

BATCH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How many rows are exact copies.

    Args:
        pretraining: rows that the encoder was pre-trained on; None if they are not known.
        train: labelled rows to learn from that are among them; None if not known.
        test: test rows that are among them; None if not known.
        between: test rows that are among the labelled rows to learn from.
        unknown: why the pre-training rows are not known, empty if they are.
    """

    pretraining: int | None
    train: int | None
    test: int | None
    between: int
    unknown: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return asdict(self)

    def sentences(self, train: int, test: int) -> list[str]:
        """What to say about it.

        Args:
            train: labelled rows to learn from, in all.
            test: test rows, in all.
        """
        said = []
        if self.test:
            said.append(
                f"Warning: {self.test:,} of {test:,} test rows are exact copies of rows that the encoder was pre-trained on, so "
                "the figures may be too good. Test on rows that it has not seen."
            )
        if self.between:
            said.append(
                f"Warning: {self.between:,} of {test:,} test rows are exact copies of labelled rows to learn from, so the "
                "figures are too good. Take the duplicates out of the data."
            )
        if self.train:
            said.append(
                f"Note: {self.train:,} of {train:,} labelled rows to learn from were seen in pre-training, without their labels "
                "where the objective uses none. That is usual and leaves the test rows new."
            )
        if self.unknown:
            said.append(f"Note: whether rows of this data were pre-trained on could not be checked: {self.unknown}.")
        return said


def hashes_of(batch: NDArray[Any]) -> list[bytes]:
    """A hash of the content of each row of an array.

    Args:
        batch: rows of any kind; the same content in another type counts as another row.
    """
    head = f"{batch.dtype.str}{batch.shape[1:]}".encode()
    found = []
    for row in batch:
        content = np.ascontiguousarray(row)
        data = content.tobytes() if batch.dtype != object else repr(np.asarray(row).tolist()).encode()
        found.append(hashlib.blake2b(data, digest_size=16, key=head[:64]).digest())
    return found


def row_hashes(source: Source) -> list[bytes]:
    """A hash of the content of each row of a source.

    Args:
        source: rows of any kind.
    """
    starts = range(0, len(source), BATCH)
    batches = (np.asarray(source.read(np.arange(start, min(start + BATCH, len(source))))) for start in starts)
    return [found for batch in batches for found in hashes_of(batch)]


def overlap(train: Source, test: Source, pretraining: Callable[[], Source] | None) -> Overlap:
    """Count exact copies.

    Args:
        train: labelled rows to learn from.
        test: labelled rows to test on.
        pretraining: opens the rows that the encoder was pre-trained on; None if nobody knows them.
    """
    learned, tested = row_hashes(train), row_hashes(test)
    known = set(learned)
    between = sum(row in known for row in tested)
    unknown = "a model file does not say what it was trained on" if pretraining is None else ""
    seen: set[bytes] = set()
    count = None
    if pretraining is not None:
        try:
            source = pretraining()
            seen, count = set(row_hashes(source)), len(source)
        except (KptkError, OSError) as error:
            unknown = f"its data cannot be read any more ({str(error).splitlines()[0].rstrip('.')})"
    return Overlap(
        pretraining=count,
        train=None if count is None else sum(row in seen for row in learned),
        test=None if count is None else sum(row in seen for row in tested),
        between=between,
        unknown=unknown,
    )
