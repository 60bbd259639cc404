"""Collects the places, labels and checksums of texts while a reader goes through its files once."""

from __future__ import annotations

import hashlib
import math
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import BadInput
from kptk.errors import InputError
from kptk_text.rows import Store, TextRows

MOST_LISTED = 1000
"""Bad rows that are listed one by one; the rest are only counted."""


class RowBuilder:
    """Takes texts one after the other and makes `TextRows` of them.

    Memory grows by some 30 bytes a text, whatever its length.

    Args:
        name: what to call the data in messages.
        on_bad_input: ``"error"`` refuses what cannot be read, ``"skip"`` leaves it out and lists it.
        duplicates: ``"keep"`` counts texts that came before, ``"drop"`` leaves them out.
    """

    def __init__(self, name: str, *, on_bad_input: str, duplicates: str) -> None:
        self.name = name
        self.on_bad_input = on_bad_input
        self.duplicates = duplicates
        self.places: list[Path | None] = []
        self.store: Store | None = None
        self.empty = 0
        self.bad_count = 0
        self._bad: list[BadInput] = []
        self._where, self._starts, self._ends = array("i"), array("q"), array("q")
        self._hashes, self._labels, self._test = array("Q"), array("q"), array("b")
        self._names: dict[str, int] = {}

    def place(self, path: Path | None) -> int:
        """Begin with a file; return its number.

        Args:
            path: the file, or None for texts that go to the store.
        """
        self.places.append(path)
        return len(self.places) - 1

    def stored(self, text: bytes, label: str | None = None, *, test: bool = False) -> None:
        """Take a text that has no file of its own.

        Args:
            text: in UTF-8.
            label: its class or number, or None.
            test: whether it belongs to the test part.
        """
        if not text.strip():
            self.empty += 1
            return
        if self.store is None:
            self.store = Store()
            self.place(None)
        start, end = self.store.write(text)
        self.add(self.places.index(None), start, end, text, label, test=test)

    def add(
        self, place: int, start: int, end: int, text: bytes, label: str | None = None, *, test: bool = False
    ) -> None:
        """Take a text that lies in a file.

        Args:
            place: number of the file.
            start: its first byte.
            end: the byte behind it.
            text: its bytes, in UTF-8.
            label: its class or number, or None.
            test: whether it belongs to the test part.
        """
        self._where.append(place)
        self._starts.append(start)
        self._ends.append(end)
        self._hashes.append(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))
        self._test.append(test)
        if label is not None:
            self._labels.append(self._names.setdefault(label, len(self._names)) if label != "" else -1)

    def bad(self, path: str, reason: str, advice: str = "") -> None:
        """Refuse what cannot be read, or leave it out.

        Args:
            path: the file and row.
            reason: what is wrong with it.
            advice: what to do about it, a whole sentence.

        Raises:
            InputError: unless bad input is skipped.
        """
        if self.on_bad_input == "error":
            raise InputError(
                f"{path}: {reason}. {advice or 'Mend or remove it, or leave it out: -o data.on_bad_input=skip'}"
            )
        self.bad_count += 1
        if len(self._bad) < MOST_LISTED:
            self._bad.append(BadInput(path, reason))

    def finish(self) -> TextRows:
        """Make the rows.

        Raises:
            InputError: if there is no text.
        """
        hashes = np.frombuffer(self._hashes, dtype=np.uint64) if self._hashes else np.zeros(0, np.uint64)
        if not len(hashes):
            left = f" ({self.empty:,} empty, {self.bad_count:,} unreadable)" if self.empty or self.bad_count else ""
            raise InputError(f"{self.name} holds no text{left}.")
        test = np.frombuffer(self._test, dtype=np.int8).astype(bool)
        first = np.zeros(len(hashes), dtype=bool)
        first[np.unique(hashes, return_index=True)[1]] = True
        repeated = int((~first).sum())
        labels, targets, names = self._label_arrays()
        note = self._note(repeated)
        kept = first if self.duplicates == "drop" else np.ones(len(hashes), dtype=bool)

        def part(chosen: NDArray[np.bool_], name: str, note: str, holdout: TextRows | None) -> TextRows:
            digest = hashlib.sha256(hashes[chosen].tobytes())
            for values in (labels, targets):
                if values is not None:
                    digest.update(values[chosen].tobytes())
            digest.update("\0".join(names).encode())
            return TextRows(
                name=name,
                places=self.places,
                where=np.frombuffer(self._where, dtype=np.int32)[chosen],
                starts=np.frombuffer(self._starts, dtype=np.int64)[chosen],
                ends=np.frombuffer(self._ends, dtype=np.int64)[chosen],
                digest=digest.hexdigest(),
                note=note,
                store=self.store,
                labels=None if labels is None else labels[chosen],
                targets=None if targets is None else targets[chosen],
                class_names=names,
                skipped=tuple(self._bad),
                holdout=holdout,
            )

        holdout = part(kept & test, f"{self.name} test part", "", None) if (kept & test).any() else None
        if test.all():
            raise InputError(f"{self.name}: every row is marked as a test row, so there is nothing to learn from.")
        return part(kept & ~test, self.name, note, holdout)

    def _note(self, repeated: int) -> str:
        parts = [f"{self.empty:,} empty left out"] if self.empty else []
        parts += [f"{self.bad_count:,} unreadable left out"] if self.bad_count else []
        parts += [f"{repeated:,} duplicates {'left out' if self.duplicates == 'drop' else 'kept'}"] if repeated else []
        return ", ".join(parts)

    def _label_arrays(self) -> tuple[Any, Any, tuple[str, ...]]:
        """Class numbers in the order of their names, or numbers if some are fractions."""
        if not self._labels:
            return None, None, ()
        codes = np.frombuffer(self._labels, dtype=np.int64)
        numbers = [_number(name) for name in self._names]
        if numbers and all(value is not None for value in numbers):
            values = np.array([*numbers, math.nan], dtype=np.float64)
            if (values[:-1] != np.rint(values[:-1])).any():
                return None, values[codes].astype(np.float32), ()
        names = sorted(self._names, key=lambda name: (_number(name) is None, _number(name) or 0.0, name))
        order = np.empty(len(names) + 1, dtype=np.int64)
        for number, name in enumerate(names):
            order[self._names[name]] = number
        order[-1] = -1  # a missing label
        return order[codes], None, tuple(names)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
