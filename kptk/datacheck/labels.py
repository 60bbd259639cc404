"""Looks at the labels of any data."""

from __future__ import annotations

import numpy as np

from kptk.data import Source
from kptk.datacheck.findings import Report

FEW = 10
"""Rows of a class below which little can be learned or tested."""
UNEVEN = 10
"""The commonest class has so many times the rows of the rarest, and a figure of accuracy alone misleads."""


def check_labels(report: Report, source: Source) -> None:
    """Count the classes.

    Args:
        report: gets counts and findings.
        source: the data.
    """
    if source.labels is None:
        if source.targets is not None:
            numbers = np.asarray(source.targets, dtype=np.float64)
            report.facts["labels"] = f"numbers, {np.nanmin(numbers):g} to {np.nanmax(numbers):g}"
        else:
            report.facts["labels"] = "none"
        return
    known = source.labels[source.labels >= 0]
    counts = np.bincount(known, minlength=len(source.class_names))
    report.classes = {name: int(count) for name, count in zip(source.class_names, counts, strict=True)}
    report.facts["labels"] = f"{int((counts > 0).sum())} classes"
    unlabelled = len(source.labels) - len(known)
    if unlabelled:
        report.facts["rows without a label"] = unlabelled
    used = np.flatnonzero(counts)
    if len(used) < 2:
        report.fail("labels", f"all rows are of one class ({source.class_names[int(used[0])]}): nothing to tell apart.")
        return
    rarest, commonest = int(used[counts[used].argmin()]), int(counts.argmax())
    names = source.class_names
    if counts[rarest] < FEW:
        few = int((counts[used] < FEW).sum())
        report.warn(
            "labels",
            f"{few} of {len(used)} classes have fewer than {FEW} rows, '{names[rarest]}' has {counts[rarest]}: too few to "
            "learn from and to test on.",
        )
    elif counts[commonest] > UNEVEN * counts[rarest]:
        report.warn(
            "labels",
            f"'{names[commonest]}' has {counts[commonest] / counts[rarest]:.0f} times the rows of '{names[rarest]}'. Look at "
            "macro-F1 and not at accuracy alone; -o task.class_weight=balanced weighs the classes alike.",
        )
