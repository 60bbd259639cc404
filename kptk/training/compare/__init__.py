"""`kptk.compare`: is it worth it? Objectives side by side at equal budget, on the same draws, with a paired test.

Nothing in this package but its worker, and what the worker calls, imports Keras.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kptk.comparing import ComparisonConfig, ComparisonRequest, read_comparison, resolve_comparison, to_toml
from kptk.errors import InputError, RunError
from kptk.plugins import Plugins
from kptk.request import Setting
from kptk.runfolder import ENVIRONMENT, SUMMARY
from kptk.training import environment
from kptk.training.compare.figure import draw_figure
from kptk.training.compare.folder import FIGURE, ComparisonFolder
from kptk.training.compare.other import refuse_corpora
from kptk.training.compare.runner import Runner, require_some
from kptk.training.compare.summary import summarise
from kptk.training.compare.table import Table, open_table, overlaps
from kptk.training.reporter import LineReporter, Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison came to.

    Args:
        folder: its folder, with cells, summary and figure.
        summary: the figures, as in `summary.json`: accuracies and differences as shares of 1.
    """

    folder: Path
    summary: dict[str, Any]

    @property
    def verdicts(self) -> list[str]:
        """What was found, in words."""
        return list(self.summary["verdicts"])

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What went wrong; empty if every cell is there."""
        return list(self.summary["failures"])


def compare(
    objectives: str | Sequence[str] = (),
    data: str = "",
    *,
    ready: str = "",
    source: str = "",
    labels_per_class: str | Iterable[int | str] = "",
    seeds: int | None = None,
    budget: str = "",
    backbone: str = "",
    strategies: str | Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    out: str | Path = "",
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Comparison:
    """Run what ``kptk compare`` runs.

    Args:
        objectives: objectives, recipes' aliases, run folders, ``"scratch"``; a list, or one text with commas.
        data: labelled data, a path or a name. It is opened in other processes, so it cannot be an array.
        ready: name of a ready comparison, see ``kptk list comparisons``.
        source: other data to pre-train on, for comparisons that do; ``"own"`` for the comparison's own rows instead.
        labels_per_class: such as ``(1, 5, "all")``.
        seeds: how often everything is drawn anew.
        budget: pre-training of each arm, such as ``"700steps"``, ``"20epochs"`` or ``"5minutes"``.
        backbone: the network of every arm; that of the first objective's recipe if empty.
        strategies: strategies to compare, each with each objective.
        options: any options, ``{"compare.finetune_steps": 100, "contrastive:objective.temperature": 0.2}``.
        out: where the comparison is kept; ``runs/compare-DATE-TIME`` if empty. A folder with a comparison is gone on with, if
            nothing else is named.
        jobs: processes at a time.
        reporter: how it speaks; lines by default.

    Returns:
        Folder, figures and verdicts.

    Example:
        >>> import kptk
        >>> found = kptk.compare("contrastive,scratch", "mnist10k", budget="2epochs", seeds=2)  # doctest: +SKIP
        >>> found.verdicts  # doctest: +SKIP
    """
    reporter = reporter or LineReporter()
    plugins = Plugins()
    path = Path(out) if out else ComparisonFolder.default_path()
    if not objectives and not ready and out:
        return resume(path, jobs=jobs, plugins=plugins, reporter=reporter)
    values: dict[str, Any] = {"seeds": seeds, "budget": budget or None}
    if labels_per_class:
        listed = labels_per_class if isinstance(labels_per_class, str) else ",".join(map(str, labels_per_class))
        values["labels_per_class"] = listed
    settings = []
    for key, value in (options or {}).items():
        if key.startswith("compare."):
            values[key.removeprefix("compare.")] = value
        else:
            settings.append(Setting(key, value))
    request = ComparisonRequest(
        objectives=_words(objectives),
        ready=ready,
        data=data,
        source=source,
        backbone=backbone,
        strategies=_words(strategies),
        values={key: value for key, value in values.items() if value is not None},
        settings=tuple(settings),
    )
    return start(resolve_comparison(plugins, request), path, jobs=jobs, plugins=plugins, reporter=reporter)


def _words(names: str | Sequence[str]) -> tuple[str, ...]:
    words = names.split(",") if isinstance(names, str) else names
    return tuple(word.strip() for word in words if word.strip())


def start(
    config: ComparisonConfig,
    path: Path,
    *,
    jobs: int = 1,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
    command: Sequence[str] = (),
) -> Comparison:
    """Begin a comparison in a new folder.

    Args:
        config: the comparison.
        path: where the folder is to be.
        jobs: processes at a time.
        plugins: the registry.
        reporter: how it speaks.
        command: the command line, for the record.
    """
    plugins = plugins or Plugins()
    ComparisonFolder.check_free(path)
    table = open_table(config)
    refuse_corpora(config, table, plugins)
    described = _describe(config, table, shlex.join(command))
    folder = ComparisonFolder.create(path, to_toml(config), described)
    return _run(config, folder, table, jobs, plugins, reporter or Reporter())


def resume(
    path: str | Path, *, jobs: int = 1, plugins: Plugins | None = None, reporter: Reporter | None = None
) -> Comparison:
    """Go on with a comparison; finished cells are not repeated, failed ones are tried again.

    Args:
        path: its folder.
        jobs: processes at a time.
        plugins: the registry.
        reporter: how it speaks.

    Raises:
        InputError: if the data or the backend is another one than before.
    """
    plugins = plugins or Plugins()
    folder = ComparisonFolder.open(path)
    config = read_comparison(plugins, folder.config)
    table = open_table(config)
    before, now = folder.read(ENVIRONMENT), _describe(config, table, "")
    if before.get("data", {}).get("fingerprint") != table.fingerprint:
        raise InputError(
            f"the data of {folder.path} changed since the comparison was begun ({table.description}), so its cells cannot "
            "stand beside new ones. Begin a new comparison."
        )
    if before.get("backend") != now["backend"]:
        raise InputError(
            f"{folder.path} was begun with the backend {before.get('backend')}, this is {now['backend']}. "
            f"Go on with it: KERAS_BACKEND={before.get('backend')} kptk compare {folder.path}"
        )
    return _run(config, folder, table, jobs, plugins, reporter or Reporter())


def _describe(config: ComparisonConfig, table: Table, command: str) -> dict[str, Any]:
    plugins = {
        f"{arm.name}.{section}": {"id": part.id, "distribution": part.offer.label}
        for arm in config.arms
        for section, part in arm.sections()
        if part.offer
    }
    data = {"description": table.description, "rows": len(table.y), "fingerprint": table.fingerprint}
    return {**environment.versions(), "plugins": plugins, "command": command, "data": data}


def _run(
    config: ComparisonConfig, folder: ComparisonFolder, table: Table, jobs: int, plugins: Plugins, reporter: Reporter
) -> Comparison:
    with folder.locked():
        arms = ", ".join(arm.name for arm in config.arms)
        reporter.line(f"Comparing {arms} on {table.description}: {table.pool_rows:,} rows to learn from")
        warnings = overlaps(config, table, plugins)
        if jobs > 1 and config.budget.unit == "seconds":
            warnings.append("Processes side by side slow each other down: a budget of time is fair with --jobs 1.")
        for warning in warnings:
            reporter.line(f"Warning: {warning}")
        runner = Runner(config, folder, table, jobs, reporter)
        try:
            failures = runner.run()
        except KeyboardInterrupt:
            raise RunError(
                f"interrupted with {len(runner.grid.cells):,} cells done. Go on: kptk compare {folder.path}"
            ) from None
        require_some(failures, runner.grid, config)
        summary = {
            "status": "incomplete" if failures else "done",
            "comparison": str(folder.path),
            "data": table.description,
            "baseline": config.baseline,
            **summarise(config, runner.grid, table.tested),
            "warnings": warnings,
            "failures": failures,
            "advice": config.advice,
            "figure": str(folder.path / FIGURE),
        }
        folder.write(FIGURE, draw_figure(summary, f"{table.description}"))
        folder.write(SUMMARY, json.dumps(summary, indent=2))
    return Comparison(folder=folder.path, summary=summary)
