"""`Keeper`: converts the rows of a table and keeps them where they are read by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import numpy as np

from kptk.columns import CATEGORY, Column
from kptk.errors import InputError
from kptk.tablerows import BadRows
from kptk_tables.chunks import Chunk
from kptk_tables.coded import Coded
from kptk_tables.conversion import Converter, Unexpected
from kptk_tables.distinct import Looked
from kptk_tables.inference import Profile
from kptk_tables.row_store import RowStore


class Keeper:
    """The rows of a table whose columns' kinds are known or guessed.

    Args:
        columns: names and kinds.
        special: names of the columns of labels and parts.
        profiles: what was found out about every column.
    """

    def __init__(self, columns: list[Column], special: list[str], profiles: Mapping[str, Profile]) -> None:
        self.columns = columns
        self.converters = {column.name: Converter(profiles[column.name], column.kind) for column in columns}
        fields = [(f"c{place}", self.converters[column.name].dtype) for place, column in enumerate(columns)]
        self.store = RowStore(np.dtype(fields))
        self.coded = {name: Coded(profiles[name]) for name in special}

    def add(self, piece: Chunk, looked: Mapping[str, Looked], problems: BadRows | None) -> None:
        """Keep the rows of a piece.

        Args:
            piece: the rows.
            looked: their cells by column.
            problems: gets rows with cells that do not fit; they are left out. None if the kinds are guessed.

        Raises:
            Unexpected: if a cell does not fit and the kinds are guessed.
        """
        bad = np.zeros(len(piece.rows), dtype=bool)
        records = np.empty(len(piece.rows), self.store.dtype)
        for place, column in enumerate(self.columns):
            convert = self.converters[column.name]
            records[f"c{place}"] = convert(looked[column.name], piece.rows, self.store, problems, bad)
        good = ~bad
        self.store.append(records if good.all() else records[good])
        for name, cells in self.coded.items():
            cells.add(looked[name], good)

    def guessed(self, piece: Chunk, looked: Mapping[str, Looked]) -> bool:
        """Keep the rows of a piece if it is as was guessed.

        Args:
            piece: the rows.
            looked: their cells by column.

        Returns:
            Whether it is; if not, this keeper is of no use any more.
        """
        coded = [cells.profile for cells in self.coded.values() if cells.few]
        coded += [convert.profile for convert in self.converters.values() if convert.kind == CATEGORY]
        if any(profile.values is None for profile in coded):
            return False
        try:
            self.add(piece, looked, None)
        except Unexpected:
            return False
        return True


def keep(
    pieces: Callable[[], Iterator[Chunk]],
    begin: Callable[[list[str]], dict[str, Profile]],
    meant: Callable[[Mapping[str, Profile]], tuple[list[Column], list[str]]],
    problems: BadRows,
) -> Keeper | None:
    """Look at every cell and keep the rows: in one pass if the first piece tells the kinds of columns, else in two.

    Args:
        pieces: reads the table from its beginning.
        begin: makes a profile of each column, given their names.
        meant: columns to keep with their kinds, and names of the columns of labels and parts.
        problems: gets bad rows.

    Returns:
        The rows, None if there is none to look at.

    Raises:
        InputError: if the columns cannot be used.
    """
    profiles: dict[str, Profile] = {}
    guess: Keeper | None = None
    for piece in pieces():
        begins = not profiles
        profiles = profiles or begin(list(piece.columns))
        looked = {name: profiles[name].update(cells, piece.rows) for name, cells in piece.columns.items()}
        if begins:
            with suppress(InputError):  # is raised below, if the whole table is like that
                guess = Keeper(*meant(profiles), profiles)
        if guess and not guess.guessed(piece, looked):
            guess = None
    if not any(profile.rows for profile in profiles.values()):
        return None
    columns, special = meant(profiles)
    if guess and list(map(str, guess.columns)) == list(map(str, columns)):
        guess.columns = columns  # with what is known of them now
        return guess
    keeper = Keeper(columns, special, profiles)
    for piece in pieces():
        keeper.add(piece, {name: profiles[name].look(cells) for name, cells in piece.columns.items()}, problems)
    return keeper
