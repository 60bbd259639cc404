"""Looks at tables: missing cells, ranges, cardinalities, duplicates, columns that tell the label, leakage."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, TEXT, Column
from kptk.data import Source
from kptk.datacheck.duplicates import identical, shared
from kptk.datacheck.findings import Report

BLOCK = 8192
BINS = 24
MOSTLY_MISSING = 0.5
FAR = 50
"""A number is far out if it is so many quartile ranges away from the median."""
TELLS = 0.999
"""A column tells the label if guessing by it alone is right for this share of the rows."""
MANY = 100


def check_table(report: Report, source: Source, rows: NDArray[np.int64], test: Source | None) -> None:
    """Look at a table.

    Args:
        report: gets facts, columns and findings.
        source: the data.
        rows: those to look at.
        test: the test part, or None.
    """
    columns = source.columns
    kinds = Counter(column.kind for column in columns)
    report.facts["columns"] = f"{len(columns)} ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"
    cells, digests = _read(source, rows)
    labels = source.labels[rows] if source.labels is not None else None
    for place, column in enumerate(columns):
        report.columns.append(_column(report, column, cells[place], labels))
    again = sum(len(group) - 1 for group in identical(digests))
    report.facts["rows that come again"] = again
    if again:
        report.warn("duplicates", f"{again:,} rows are the same as others in every column.")
    if test is not None and len(test):
        count = min(len(test), max(len(rows), 1))
        _, others = _read(test, np.arange(count))
        same = shared(digests, others)
        report.facts["test rows that are in the training part"] = len(same)
        if same:
            # Rows of few columns are the same by chance, so much as the training part repeats itself.
            expected = again / max(len(rows), 1)
            share = len(same) / count
            say = report.fail if share > max(2 * expected, 0.01) else report.warn
            say(
                "leakage",
                f"{len(same):,} of {count:,} test rows ({100 * share:.1f} %) are in the training part in every column; "
                f"{100 * expected:.1f} % of the training rows repeat another.",
            )


def _read(source: Source, rows: NDArray[np.int64]) -> tuple[list[NDArray[Any]], list[bytes]]:
    parts: list[list[NDArray[Any]]] = [[] for _ in source.columns]
    digests: list[bytes] = []
    for start in range(0, len(rows), BLOCK):
        block = source.read(rows[start : start + BLOCK])
        digests += [hashlib.blake2b(repr(row).encode(), digest_size=12).digest() for row in block.tolist()]
        for place, column in enumerate(source.columns):
            values = block[:, place]
            parts[place].append(values.astype(np.float64) if column.kind in (NUMBER, FLAG) else values)
    return [np.concatenate(part) for part in parts], digests


def _column(report: Report, column: Column, cells: NDArray[Any], labels: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"name": column.name, "kind": column.kind, "note": column.note}
    numeric = column.kind in (NUMBER, FLAG)
    known = np.isfinite(cells) if numeric else np.array([cell is not None for cell in cells.tolist()], dtype=bool)
    about["missing"] = int((~known).sum())
    share = about["missing"] / max(len(cells), 1)
    values = cells[known]
    if not len(values):
        report.warn(column.name, f"every cell of '{column.name}' is missing. Drop it: -o data.drop={column.name}")
        return about
    if share > MOSTLY_MISSING:
        report.warn(column.name, f"{100 * share:.0f} % of '{column.name}' is missing.")
    if column.kind == NUMBER:
        _numbers(report, column.name, values, about)
    elif column.kind in (CATEGORY, TEXT, FLAG):
        _names(report, column, values, about)
    elif column.kind == DATE:
        about |= {"distinct": len(set(values.tolist())), "lowest": str(min(values)), "highest": str(max(values))}
    if about.get("distinct") == 1:
        report.warn(column.name, f"'{column.name}' is the same in all rows. Drop it: -o data.drop={column.name}")
    elif labels is not None and column.kind in (CATEGORY, FLAG, NUMBER):
        _telling(report, column.name, cells, known, labels, about)
    return about


def _numbers(report: Report, name: str, values: NDArray[np.float64], about: dict[str, Any]) -> None:
    quartiles = np.quantile(values, (0.25, 0.5, 0.75))
    counts, edges = np.histogram(values, bins=BINS)
    about |= {
        "distinct": len(np.unique(values)),
        "lowest": float(values.min()),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "median": float(quartiles[1]),
        "highest": float(values.max()),
        "histogram": counts.tolist(),
        "edges": [float(edges[0]), float(edges[-1])],
    }
    if (
        about["distinct"] == len(values)
        and len(values) > MANY
        and (np.diff(values) > 0).all()
        and (values % 1 == 0).all()
    ):
        report.warn(name, f"'{name}' only counts the rows. Drop it: -o data.drop={name}")
    spread = quartiles[2] - quartiles[0]
    far = np.abs(values - quartiles[1]) > FAR * spread if spread > 0 else np.zeros(len(values), bool)
    if far.any():
        worst = values[np.abs(values - quartiles[1]).argmax()]
        report.warn(
            name,
            f"'{name}' has {int(far.sum()):,} numbers far out, such as {worst:g} with a median of {quartiles[1]:g}: "
            "-o preprocessor.scaling=robust or quantile",
        )


def _names(report: Report, column: Column, values: NDArray[Any], about: dict[str, Any]) -> None:
    counts = Counter(values.tolist())
    about["distinct"] = len(counts)
    about["common"] = [[str(value), count] for value, count in counts.most_common(8)]
    if column.kind == TEXT:
        lengths = np.array([len(value) for value in values.tolist()])
        about["characters"] = {"mean": float(lengths.mean()), "highest": int(lengths.max())}
        report.warn(
            column.name,
            f"'{column.name}' is taken for a text ({column.note or 'as you said'}) and left out by the table preprocessor. "
            f"If its names come again: -o data.types={column.name}:category",
        )
    elif column.kind == CATEGORY and len(counts) > MANY:
        report.warn(
            column.name,
            f"'{column.name}' has {len(counts):,} categories; the rarest share a code or none "
            "(preprocessor.max_categories), or hash them: -o preprocessor.categories=hashed",
        )


def _telling(
    report: Report,
    name: str,
    cells: NDArray[Any],
    known: NDArray[np.bool_],
    labels: NDArray[Any],
    about: dict[str, Any],
) -> None:
    """Whether the column alone tells the label: a copy of it, or something that is known only afterwards."""
    if about.get("distinct", 0) > MANY:
        return
    chosen = known & (labels >= 0)
    pairs = Counter(zip(cells[chosen].tolist(), labels[chosen].tolist(), strict=True))
    best: dict[Any, int] = {}
    for (value, _), count in pairs.items():
        best[value] = max(best.get(value, 0), count)
    total = int(chosen.sum())
    largest = Counter(labels[chosen].tolist()).most_common(1)[0][1] if total else 0
    if total > MANY and sum(best.values()) >= TELLS * total and largest < 0.99 * total:
        report.fail(
            name,
            f"'{name}' tells the label alone ({100 * sum(best.values()) / total:.1f} % right): it may be a copy of it. "
            f"Drop it unless it will be known before the label: -o data.drop={name}",
        )
