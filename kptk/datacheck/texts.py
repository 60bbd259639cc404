"""Looks at texts: lengths, empty ones, duplicates, leakage into the test part."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.datacheck.duplicates import identical, shared
from kptk.datacheck.findings import Report

BLOCK = 1024
BINS = 24


def check_texts(report: Report, source: Source, rows: NDArray[np.int64], test: Source | None) -> None:
    """Look at texts.

    Args:
        report: gets facts and findings.
        source: the data.
        rows: those to look at.
        test: the test part, or None.
    """
    lengths, digests = _look(source, rows)
    counts, edges = np.histogram(lengths, bins=BINS)
    report.columns.append(
        {
            "name": "words a text",
            "kind": "number",
            "missing": int((lengths == 0).sum()),
            "lowest": int(lengths.min()),
            "median": float(np.median(lengths)),
            "mean": float(lengths.mean()),
            "highest": int(lengths.max()),
            "histogram": counts.tolist(),
            "edges": [float(edges[0]), float(edges[-1])],
        }
    )
    quantiles = np.quantile(lengths, (0.5, 0.95))
    report.facts["words a text"] = (
        f"median {quantiles[0]:.0f}, 95 % have at most {quantiles[1]:.0f}, longest {lengths.max():,}"
    )
    empty = int((lengths == 0).sum())
    if empty:
        report.warn("empty", f"{empty:,} texts are empty.")
    again = sum(len(group) - 1 for group in identical(digests))
    report.facts["texts that come again"] = again
    if again:
        report.warn("duplicates", f"{again:,} texts are the same as others, apart from case and spaces.")
    if test is not None and len(test):
        count = min(len(test), max(len(rows), 1))
        same = shared(digests, _look(test, np.arange(count))[1])
        report.facts["test texts that are in the training part"] = len(same)
        if same:
            report.fail(
                "leakage",
                f"{len(same):,} of {count:,} test texts are in the training part, apart from case and spaces.",
            )


def _look(source: Source, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[bytes]]:
    lengths: list[int] = []
    digests: list[bytes] = []
    for start in range(0, len(rows), BLOCK):
        for text in source.read(rows[start : start + BLOCK]).tolist():
            words: list[Any] = str(text or "").lower().split()
            lengths.append(len(words))
            digests.append(hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=12).digest())
    return np.array(lengths, dtype=np.int64), digests
