"""Checks that a data set which ships with a plugin holds what its spec says; readers of paths are skipped."""

from __future__ import annotations

from typing import Any

from kptk.data import Source
from kptk.testing.checks import Function, Skip, Subject


def opens(subject: Subject) -> None:
    """The target opens the data without arguments, as a `Source` of the declared kind of input."""
    source = _open(subject)
    assert isinstance(source, Source), f"the target must return a kptk.Source. Received: {type(source).__name__}"
    assert source.inputs == subject.spec.inputs, f"the spec says {subject.spec.inputs!r}, the data {source.inputs!r}"
    assert source.describe().strip(), "describe() must say what the data is"


def length_is_as_declared(subject: Subject) -> None:
    """``samples`` in the spec is the number of rows."""
    source = _open(subject)
    assert len(source) == subject.spec.samples, (
        f"the spec says {subject.spec.samples:,} samples, there are {len(source):,}"
    )


def rows_are_as_declared(subject: Subject) -> None:
    """Rows are read in the order asked for, with the declared shape, and the same every time."""
    import numpy as np

    source = _open(subject)
    numbers = np.array([len(source) - 1, 0, len(source) // 2])
    batch = source.read(numbers)
    assert batch.shape == (3, *source.row_shape), f"3 rows of {source.row_shape} came as {batch.shape}"
    assert batch.dtype != object or subject.spec.inputs != "image", "images must be numbers, not Python objects"
    assert np.array_equal(batch, source.read(numbers)), "the same rows were read differently"
    assert np.array_equal(source.read(numbers[1:2])[0], batch[1]), "rows do not come in the order asked for"


def labels_name_classes(subject: Subject) -> None:
    """Labels are there if the spec says so: one class number for each row, each with a name."""
    import numpy as np

    source = _open(subject)
    has_labels = source.labels is not None
    assert has_labels == subject.spec.labels, f"the spec says labels={subject.spec.labels}, the data has {has_labels}"
    if source.labels is None:
        raise Skip("it has no labels")
    assert source.labels.shape == (len(source),), f"{len(source)} rows have labels of shape {source.labels.shape}"
    assert np.issubdtype(source.labels.dtype, np.integer), f"labels must be integers, not {source.labels.dtype}"
    low, high = int(source.labels.min()), int(source.labels.max())
    assert low >= 0, f"class numbers start at 0. Received: {low}"
    assert high < len(source.class_names), f"class {high} has no name among {len(source.class_names)}"


def fingerprint_is_stable(subject: Subject) -> None:
    """Opening the data again gives the same fingerprint, so that a resumed run knows its data."""
    first, second = _open(subject).fingerprint(), _target(subject)().fingerprint()
    assert first, "the fingerprint is empty"
    assert first == second, "the fingerprint changes from one opening to the next"


def _open(subject: Subject) -> Any:
    target = _target(subject)
    return subject.once(f"dataset {subject.spec.name}", target)


def _target(subject: Subject) -> Any:
    if subject.spec.reads:
        raise Skip("it reads the user's own paths; the plugin's tests try it on files")
    return subject.spec.load()


CHECKS: tuple[Function, ...] = (
    opens,
    length_is_as_declared,
    rows_are_as_declared,
    labels_name_classes,
    fingerprint_is_stable,
)
