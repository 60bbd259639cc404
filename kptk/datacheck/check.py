"""Opens data and looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.datacheck.findings import Report
from kptk.datacheck.images import check_images
from kptk.datacheck.labels import check_labels
from kptk.datacheck.tables import check_table
from kptk.datacheck.texts import check_texts
from kptk.errors import InputError, KptkError
from kptk.parts import part_of
from kptk.plugins import Plugins
from kptk.training.assemble import open_named

CHECKS = {"image": check_images, "table": check_table, "text": check_texts}
"""What looks at a kind of input; of other kinds only rows and labels are counted."""


def check(
    plugins: Plugins,
    data: str,
    *,
    test: str = "",
    inputs: str = "",
    part: str = "",
    limit: int = 50_000,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Look at data before anything is trained on it.

    Args:
        plugins: the registry.
        data: a path or the name of a data set.
        test: data that models will be tested on, for leakage; by default the data's own test part.
        inputs: the kind of input, where several readers take the path.
        part: only this part of the data, see `kptk.parts.part_of`.
        limit: rows to look at, drawn at random; 0 for all.
        options: options of the reader.

    Returns:
        Facts and findings.

    Raises:
        InputError: if nothing can be read.
    """
    source = part_of(open_data(plugins, data, inputs, options or {}), part)
    held = open_data(plugins, test, source.inputs, options or {}) if test else source.holdout()
    rows = np.arange(len(source))
    if limit and limit < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(len(rows), limit, replace=False))
    report = Report(data=source.describe(), inputs=source.inputs, rows=len(source), looked=len(rows))
    if source.skipped:
        first = source.skipped[0]
        report.facts["left out"] = len(source.skipped)
        report.fail(
            "unreadable",
            f"{len(source.skipped):,} could not be read, first {first.path}: {first.reason}. Mend or remove them, or train "
            "with --on-bad-input skip",
        )
    check_labels(report, source)
    if held is not None:
        report.facts["test part"] = len(held)
    if len(source) and source.inputs in CHECKS:
        CHECKS[source.inputs](report, source, rows, held)
    return report


def open_data(plugins: Plugins, data: str, inputs: str, options: Mapping[str, Any]) -> Source:
    """Open data with the options of its reader; unreadable rows are left out and listed.

    Args:
        plugins: the registry.
        data: a path or a name.
        inputs: the kind of input, where several readers take the path.
        options: options of the reader, texts as they were written.
    """
    from kptk.locating import locate

    if not inputs:
        kinds = sorted({offer.spec.inputs for offer in plugins.offers("dataset") if offer.spec.reads})
        found = [kind for kind in kinds if _readable(plugins, data, kind, options)]
        if len(found) > 1:
            return _first_that_opens(plugins, data, found, options)
    offer, _ = locate(plugins, data, inputs, given=list(options))
    skipping = {"on_bad_input": "skip"} if any(o.name == "on_bad_input" for o in offer.spec.options) else {}
    own = {option.name: option for option in offer.spec.options}
    parsed = {
        name: own[name].parse(value) if name in own and isinstance(value, str) else value
        for name, value in options.items()
    }
    return open_named(plugins, data, inputs, **(skipping | parsed))


def _first_that_opens(plugins: Plugins, data: str, kinds: list[str], options: Mapping[str, Any]) -> Source:
    """Open what several readers take: a folder by what is in it, a CSV file as a table, which shows every column."""
    if "table" in kinds:
        return open_data(plugins, data, "table", options)
    for kind in kinds[:-1]:
        try:
            return open_data(plugins, data, kind, options)
        except InputError:
            continue
    return open_data(plugins, data, kinds[-1], options)


def _readable(plugins: Plugins, data: str, kind: str, options: Mapping[str, Any]) -> bool:
    """Whether a reader of some kind of input takes a path and has the options."""
    from kptk.locating import locate

    try:
        offer, path = locate(plugins, data, kind, given=list(options))
    except KptkError:
        return False
    return path is not None and {option.name for option in offer.spec.options}.issuperset(options)
