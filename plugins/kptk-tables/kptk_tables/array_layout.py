"""Which arrays of a NumPy or HDF5 file are the columns of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kptk.arrayfiles import HDF5, NUMPY, Held, held, listed, meant
from kptk.errors import InputError, did_you_mean

LABELS = ("y", "labels", "label", "target", "targets")
"""What the array of the labels is called that stands beside a matrix."""
NAMES = ("feature_names", "columns")
"""What the array is called that holds the names of a matrix' columns."""
CLASSES = ("class_names", "target_names")
"""What the array is called that holds the names of the labels' numbers."""
PLAIN = "biufMSU"
"""Kinds of cells that are read; texts of HDF5 beside them."""


@dataclass(frozen=True, slots=True)
class Member:
    """An array of a table.

    Args:
        array: its name.
        form: ``"matrix"`` with a column each, ``"fields"`` of a structured array, ``"column"``, or ``"classes"``, numbers that
            stand for names.
        columns: the names of what it brings; empty for a matrix whose names are in the file.
    """

    array: str
    form: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """What a file means as a table.

    Args:
        members: the arrays, of the rows to learn from.
        test: the arrays of the test part in the same order; empty without one.
        names: array of the names of the matrix' columns, empty if there is none.
        classes: array of the names of the labels, empty if there is none.
        label: the column of the labels by the names of the arrays, empty if they do not tell.
        left_out: arrays that are no columns, in words.
    """

    members: tuple[Member, ...]
    test: tuple[Member, ...] = ()
    names: str = ""
    classes: str = ""
    label: str = ""
    left_out: str = ""


def refuses(path: str, given: Collection[str]) -> None:
    """Raise if an array file holds no table, going by the shapes of its arrays. Other files pass.

    Args:
        path: the file.
        given: the options that the user set; with ``table``, which names the array, anything may be there.

    Raises:
        InputError: with what there is.
    """
    if Path(path).suffix.lower() not in (*NUMPY, *HDF5) or "table" in given:
        return
    arrays = held(Path(path))
    found = meant(arrays)
    if any(_is_matrix(array) for array in found.values()):
        return
    sizes = {len(array.dims) for array in found.values()}
    if 1 not in sizes or max(sizes) > 2:
        raise InputError(
            f"{path} holds no table: that is an array of rows and columns, or arrays of one column each. It holds: "
            f"{listed(arrays)}."
        )


def array_layout(path: str, arrays: Mapping[str, Held], table: str = "") -> ArrayLayout:
    """Find the columns.

    Args:
        path: the file, for messages.
        arrays: as `kptk.arrayfiles.held` gives them.
        table: name of the array, or of the group of HDF5; empty to look for it.

    Raises:
        InputError: if it is no table, or it cannot be told which one.
    """
    folder, matrix = _chosen(path, arrays, table)
    near = {name.removeprefix(folder): array for name, array in arrays.items() if _within(name, folder)}
    if not matrix:
        columns = [name for name, array in near.items() if len(array.dims) == 1]
        members = tuple(Member(folder + name, "column", (name,)) for name in columns)
        return _checked(path, arrays, ArrayLayout(members, left_out=_left_out(near, columns)))
    rows = arrays[folder + matrix].dims[0]
    fields = arrays[folder + matrix].dtype.names
    own = Member(folder + matrix, "fields", tuple(fields)) if fields else Member(folder + matrix, "matrix")
    flat = [name for name, array in near.items() if len(array.dims) == 1]
    names = "" if fields else next((name for name in NAMES if name in flat), "")
    label = next((name for usual in LABELS for name in (_like(matrix, usual), usual) if name in near), "")
    classes = next((name for name in CLASSES if label and name in flat and near[label].dtype.kind in "iu"), "")
    used = [name for name in (matrix, names, label, classes) if name]
    members = (own, *(_label(path, folder, near, label, classes) if label else ()))
    tests: tuple[Member, ...] = ()
    if matrix.endswith("train") and (test := f"{matrix.removesuffix('train')}test") in near:
        beside = f"{label.removesuffix('train')}test" if label.endswith("train") else ""
        if label and beside not in near:
            raise InputError(f"{path} has {test} without its labels. Beside {label} it needs {beside or 'y_test'}.")
        tests = (
            Member(folder + test, own.form, own.columns),
            *(Member(folder + beside, m.form, m.columns) for m in members[1:]),
        )
        used += [test, beside]
    elif not matrix.endswith("train"):
        more = [
            name
            for name, array in near.items()
            if name not in (*used, *NAMES, *CLASSES) and array.dims == (rows,) and not array.dtype.names
        ]
        members += tuple(Member(folder + name, "column", (name,)) for name in more)
        used += more
    bare = members[1].columns[0] if label else ""
    layout = ArrayLayout(
        members, tests, names and folder + names, classes and folder + classes, bare, _left_out(near, used)
    )
    return _checked(path, arrays, layout)


def _chosen(path: str, arrays: Mapping[str, Held], table: str) -> tuple[str, str]:
    """The group, with its slash, and the matrix in it; empty for a table of columns."""
    if table.strip("/") in arrays:
        found = {table.strip("/"): arrays[table.strip("/")]}
        if not _is_matrix(*found.values()):
            raise InputError(
                f"{path}: {table} is no table. Its shape must be (rows, columns). Received: {listed(found)}."
            )
    elif table:
        folder = f"{table.strip('/')}/".lstrip("/")
        inside = {name: array for name, array in arrays.items() if _within(name, folder)}
        if not inside:
            raise InputError(
                f"{path} has no array or group '{table}' (-o data.table=). It holds: {listed(arrays)}. "
                f"{did_you_mean(table, arrays)}".strip()
            )
        usual = meant({name.removeprefix(folder): array for name, array in inside.items()})
        found = {folder + name: array for name, array in usual.items()}
    else:
        refuses(path, ())
        found = meant(arrays)
    matrices = [name for name, array in found.items() if _is_matrix(array)]
    if len(matrices) > 1:
        raise InputError(f"{path} holds several tables. Say which: -o data.table=NAME. It holds: {listed(arrays)}.")
    if matrices:
        folder, slash, name = matrices[0].rpartition("/")
        return folder + slash, name
    folders = {name.rpartition("/")[0] for name in found}
    if len(folders) > 1 and not table:
        raise InputError(
            f"{path} holds columns in several groups. Say which: -o data.table=GROUP, / for the outermost."
        )
    folder = f"{table.strip('/') or next(iter(folders))}/".lstrip("/")
    return folder, ""


def _within(name: str, folder: str) -> bool:
    return name.startswith(folder) and "/" not in name.removeprefix(folder)


def _is_matrix(array: Held) -> bool:
    return len(array.dims) == 2 or (len(array.dims) == 1 and bool(array.dtype.names))


def _like(matrix: str, usual: str) -> str:
    """The name of labels that goes with a matrix: y_train with x_train."""
    return f"{usual}_train" if matrix.endswith("_train") else usual


def _label(path: str, folder: str, near: Mapping[str, Held], name: str, classes: str) -> tuple[Member]:
    array = near[name]
    if not array.dims or array.dims[1:] not in ((), (1,)) or array.dtype.names:
        raise InputError(
            f"{path}: {name} must have one label for each row of a table. Received: shape {array.dims}, dtype {array.dtype}. "
            "Save the one that is meant as a column of its own, or the classes as numbers: y=y.argmax(axis=1)"
        )
    return (Member(folder + name, "classes" if classes else "column", (name.removesuffix("_train"),)),)


def _left_out(near: Mapping[str, Held], used: Collection[str]) -> str:
    others = {name: array for name, array in near.items() if name not in used}
    return listed(others) if others else ""


def _checked(path: str, arrays: Mapping[str, Held], layout: ArrayLayout) -> ArrayLayout:
    """Refuse what cannot be read, and columns of different lengths."""
    for members in filter(None, (layout.members, layout.test)):
        first = members[0]
        for member in members:
            array = arrays[member.array]
            if array.outside:
                raise InputError(
                    f"{path}: {member.array} takes its content from other files, which is not read. Copy it."
                )
            if array.dims[0] != arrays[first.array].dims[0]:
                raise InputError(
                    f"{path}: {first.array} has {arrays[first.array].dims[0]:,} rows and {member.array} has {array.dims[0]:,}. "
                    "Every column of a table has an entry for each row."
                )
            parts = [(f"{member.array}.{f}", array.dtype[f]) for f in array.dtype.names or ()]
            for name, dtype in parts or [(member.array, array.dtype)]:
                _refuse_cells(path, name, dtype, hdf5=Path(path).suffix.lower() in HDF5)
        if not arrays[first.array].dims[0]:
            raise InputError(f"{path}: {first.array} has no rows.")
    return layout


def _refuse_cells(path: str, name: str, dtype: Any, *, hdf5: bool) -> None:
    if hdf5 and dtype.kind == "O":
        import h5py

        if h5py.check_string_dtype(dtype) is not None:
            return
    elif dtype.kind == "O":
        raise InputError(
            f"{path}: {name} holds pickled objects, which could run code, so it is not read. Save plain numbers or texts: "
            "np.savez(path, x=numbers.astype('float32'), y=names.astype(str))"
        )
    if dtype.kind not in PLAIN or dtype.shape:
        raise InputError(f"{path}: {name} must have one number, text or date a cell. Received: dtype {dtype}.")
