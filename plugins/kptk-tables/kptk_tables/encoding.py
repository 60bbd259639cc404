"""Encodings of categories: codes on the host, numbers of a code in the graph.

A code is 0 for the first category, and -1 for one that is to be nothing: unknown or, by the policy, missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.types import Tensor

ENCODINGS = ("onehot", "ordinal", "binary", "hashed")
NOTHING = -1


def one_hot(codes: Tensor, count: int) -> Tensor:
    """A 1 at the place of the code, shape ``(batch, count)``; all 0 for -1.

    Args:
        codes: shape ``(batch,)``.
        count: categories.
    """
    return ops.one_hot(ops.cast(codes, "int32"), count, dtype="float32")


def ordinal(codes: Tensor) -> Tensor:
    """The code itself as a number, shape ``(batch, 1)``; -1 for nothing.

    Args:
        codes: shape ``(batch,)``.
    """
    return ops.expand_dims(ops.cast(codes, "float32"), -1)


def binary(codes: Tensor, digits: int) -> Tensor:
    """The digits of ``code + 1`` to the base 2, the highest first, shape ``(batch, digits)``; all 0 for -1.

    Args:
        codes: shape ``(batch,)``.
        digits: as many as `digits_of` says.
    """
    numbers = ops.expand_dims(ops.cast(codes, "float32") + 1.0, -1)
    powers = ops.convert_to_tensor([2.0**power for power in reversed(range(digits))], dtype="float32")
    return ops.mod(ops.floor(numbers / powers), 2.0)


def digits_of(count: int) -> int:
    """How many digits the numbers 0 to `count` need.

    Args:
        count: categories.

    Example:
        >>> [digits_of(count) for count in (1, 3, 4)]
        [1, 2, 3]
    """
    return max(int(count).bit_length(), 1)


@lru_cache(maxsize=1 << 16)
def bucket(value: str, buckets: int) -> int:
    """The bucket of a name, the same in every process: MD5 modulo the number of buckets.

    Args:
        value: the name.
        buckets: how many there are.
    """
    return int(hashlib.md5(value.encode(), usedforsecurity=False).hexdigest(), 16) % buckets


def codes_of(cells: Sequence[Any], index: Mapping[str, int], missing: int, unknown: int) -> NDArray[np.float32]:
    """Codes of cells.

    Args:
        cells: names, None for missing.
        index: code of each known name.
        missing: code of a missing cell.
        unknown: code of any other name.
    """
    return np.array([missing if cell is None else index.get(cell, unknown) for cell in cells], dtype=np.float32)


def from_one_hot(features: NDArray[Any]) -> NDArray[np.int64]:
    """Undo `one_hot`: the place of the largest number, -1 where all are 0 or less.

    Args:
        features: shape ``(batch, count)``.
    """
    return np.where(features.max(axis=-1) > 0, features.argmax(axis=-1), NOTHING)


def from_ordinal(features: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Undo `ordinal`, to the nearest code.

    Args:
        features: shape ``(batch, 1)``.
        count: categories.
    """
    return np.clip(np.rint(features[:, 0]), NOTHING, count - 1).astype(np.int64)


def from_binary(features: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Undo `binary`; numbers beyond the last category are nothing.

    Args:
        features: shape ``(batch, digits)``.
        count: categories.
    """
    powers = 2 ** np.arange(features.shape[-1])[::-1]
    codes = (np.rint(features).astype(np.int64) * powers).sum(axis=-1) - 1
    return np.where(codes < count, codes, NOTHING)
