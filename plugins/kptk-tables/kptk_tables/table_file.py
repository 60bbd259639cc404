"""Tables from files: CSV, TSV, JSON Lines, Parquet, NumPy and HDF5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kptk import errors
from kptk.arrayfiles import HDF5, NUMPY
from kptk.columns import KINDS, TEXT, Column
from kptk.errors import InputError
from kptk.tablerows import BadRows, form
from kptk_tables.array_table import ArrayTable
from kptk_tables.chunks import Chunk, chunks
from kptk_tables.inference import MISSING, Profile
from kptk_tables.keeping import keep
from kptk_tables.labels import find_parts, number_labels
from kptk_tables.opening import digest
from kptk_tables.table_source import TablePart, TableSource


def table_file(
    path: str,
    *,
    label: str = "",
    types: str = "",
    drop: str = "",
    split: str = "",
    table: str = "",
    delimiter: str = "auto",
    encoding: str = "utf-8",
    decimal: str = "point",
    missing: str = "",
    absent: str = "error",
    on_bad_input: str = "error",
) -> TableSource | TablePart:
    """Open a table. Every cell is looked at once, so that a bad row is known at the start and not hours later.

    The rows are kept in a temporary file in a form that is read by row number, so memory does not grow with the table and
    a compressed file is unpacked once.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file; text files also ``.gz``, ``.xz`` or ``.bz2``. Or an
            ``.npz``, ``.npy``, ``.h5`` or ``.hdf5`` file with a matrix, a structured array, or an array for each column.
        label: name of the column that holds the labels; it is then no input. Empty for a table without; of an array file
            ``y`` or ``labels`` beside a matrix, unless it is ``-``.
        types: kinds of columns where those found are not meant, ``"age:number,zip:category"``.
        drop: names of columns to leave out, with commas between.
        split: name of a column that holds ``train`` and ``test``; the latter rows become the test part.
        table: of an array file, the name of the array or of the group of HDF5; empty to look for it.
        delimiter: between cells, one character or its name (``comma``, ``semicolon``, ``tab``, ``pipe``); ``"auto"`` looks
            at the header.
        encoding: of a text file.
        decimal: decimal mark of numbers in a text file, ``"point"`` or ``"comma"``.
        missing: cells that mean that nothing is known, beside the usual ones (empty, ``NA``, ``?``, ``null``, ``None``,
            ``NaN``), with commas between.
        absent: what to do with a column that another option names and the table lacks, and with a label that is the same in
            all rows: ``"error"``, or ``"ignore"``, with which a model's own options are used to read other tables.
        on_bad_input: ``"error"`` refuses a table with a bad row, ``"skip"`` leaves such rows out and lists them.

    Returns:
        The rows.

    Raises:
        InputError: if the table cannot be used; the message says the row.
        UsageError: if an option names a column that is not there.
    """
    file = Path(path)
    wanted = _wanted_types(types)
    problems = BadRows(path, on_bad_input)
    tokens = (*MISSING, *_words(missing))
    mark = "," if decimal == "comma" else "."

    arrays = ArrayTable(file, table) if form(file) in (*NUMPY, *HDF5) else None
    if arrays:
        label, split = arrays.meaning(label, split, _words(drop))

    def pieces() -> Iterator[Chunk]:
        if arrays:
            return arrays.chunks(problems)
        return chunks(file, delimiter=delimiter, encoding=encoding, problems=problems)

    def begin(names: list[str]) -> dict[str, Profile]:
        nonlocal label, split
        if absent == "error":
            _check_names(path, names, label=label, split=split, types=list(wanted), drop=_words(drop))
        label, split = (name if name in names else "" for name in (label, split))
        return {name: Profile(name, tokens, mark) for name in names}

    def meant(profiles: Mapping[str, Profile]) -> tuple[list[Column], list[str]]:
        columns = [
            _column(path, profile, wanted.get(name, ""))
            for name, profile in profiles.items()
            if name not in (label, split) and name not in _words(drop)
        ]
        if not columns:
            raise InputError(f"{path}: no column is left beside the label and those that are dropped.")
        return columns, [name for name in (label, split) if name]

    keeper = keep(pieces, begin, meant, problems)
    if keeper is None:
        raise InputError(f"{path} has no rows that can be read.")
    store, coded = keeper.store, keeper.coded
    if not len(store):
        raise InputError(f"{path}: every row is bad. The first: {problems.listed[0].path}: {problems.listed[0].reason}")
    store.finish()
    source = TableSource(
        path,
        store,
        tuple(keeper.columns),
        {name: convert.categories.names for name, convert in keeper.converters.items()},
        digest(file),
        problems.listed,
    )
    if label:
        number_labels(source, label, coded[label], learn=absent == "error")
    else:
        source.remarks = (
            "No column is the label, so every column is an input. If one of them is to be predicted later, keep it out: "
            "-o data.label=COLUMN",
        )
    if arrays and arrays.layout.left_out:
        source.remarks += (f"Of {path} these are no columns of the table: {arrays.layout.left_out}.",)
    return find_parts(source, split, coded[split]) if split else source


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _wanted_types(types: str) -> dict[str, str]:
    wanted = {}
    for word in _words(types):
        name, colon, kind = word.rpartition(":")
        if not colon or kind not in KINDS:
            raise errors.bad_value("types", f"like age:number,zip:category, each kind one of {', '.join(KINDS)}", word)
        wanted[name.strip()] = kind
    return wanted


def _check_names(path: str, names: list[str], *, label: str, split: str, types: list[str], drop: list[str]) -> None:
    for option, wanted in (("label", [label]), ("split", [split]), ("types", types), ("drop", drop)):
        for name in wanted:
            if name and name not in names:
                listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
                raise errors.UsageError(
                    f"`{option}` must name columns of {path}. Received: '{name}'. {errors.did_you_mean(name, names)} "
                    f"There is: {listed}."
                )


def _column(path: str, profile: Profile, wanted: str) -> Column:
    if wanted:
        if wanted not in ("number", "date", TEXT) and profile.values is None and wanted != "flag":
            raise InputError(
                f"{path}: column '{profile.name}' has more than 10,000 different values, too many for categories. Take it "
                f"for a text (-o data.types={profile.name}:text), which is left out, or drop it."
            )
        return Column(profile.name, wanted, "as you said")
    try:
        return Column(profile.name, *profile.kind())
    except InputError as error:
        raise InputError(f"{path}, {error}") from None
