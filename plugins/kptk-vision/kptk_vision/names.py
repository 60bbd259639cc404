"""`Names`: many file names in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np


class Names(Sequence[str]):
    """Texts one behind the other in one piece of memory: a name takes its bytes and eight more, not a Python object.

    Args:
        names: the texts, in their order.

    Example:
        >>> names = Names(["cat/1.png", "dog/2.png"])
        >>> len(names), names[1]
        (2, 'dog/2.png')
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        content = bytearray()
        ends = [0]
        for name in names:
            # A file name need not be text: what is none comes back as it was.
            content += name.encode("utf-8", "surrogateescape")
            ends.append(len(content))
        self._content = bytes(content)
        self._ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = int(place) + (len(self) if place < 0 else 0)
        if not 0 <= place < len(self):
            raise IndexError(f"{place} of {len(self)} names")
        begin, end = self._ends[place], self._ends[place + 1]
        return self._content[begin:end].decode("utf-8", "surrogateescape")
