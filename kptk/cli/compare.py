"""`kptk compare`: is pre-training worth it, and which one?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kptk.cli.output import ConsoleReporter, print_json, print_table
from kptk.errors import EXIT_RUN_FAILED, UsageError

FLAG_VALUES = ("seeds", "budget", "batch_size", "finetune_steps", "split")
VALUE_PREFIX = "compare."
ONGOING = ("folder", "jobs", "as_json", "quiet")


@click.command()
@click.argument("folder", required=False, default="")
@click.option(
    "--objectives",
    metavar="A,B,...",
    multiple=True,
    help="Objectives, run folders, 'scratch'; with commas; repeatable.",
)
@click.option("--ready", metavar="NAME", default="", help="A ready comparison; see: kptk list comparisons")
@click.option("--data", metavar="PATH|NAME", default="", help="Labelled data; a part of it is for tests only.")
@click.option(
    "--source",
    metavar="PATH|NAME",
    default="",
    help="Other data to pre-train on, for comparisons that do; 'own': none.",
)
@click.option(
    "--labels-per-class",
    metavar="N,N,all",
    multiple=True,
    help="Labelled rows of each class; repeatable.  [1,5,10,all]",
)
@click.option("--seeds", metavar="N", default=None, help="How often everything is drawn anew.  [5]")
@click.option(
    "--budget", metavar="AMOUNT", default=None, help="Pre-training: 700steps, 20epochs or 5minutes.  [20epochs]"
)
@click.option("--backbone", metavar="NAME", default="", help="Network of every arm; default: the first recipe's.")
@click.option(
    "--strategies", metavar="A,B,...", multiple=True, help="Compare strategies, each with each objective; repeatable."
)
@click.option("--batch-size", metavar="N", default=None, help="Examples a step of pre-training.  [128]")
@click.option("--finetune-steps", metavar="N", default=None, help="Steps on labelled rows.  [300]")
@click.option(
    "--split", metavar="own|seed", default=None, help="The data's own test part, or drawn anew by each seed.  [own]"
)
@click.option("--limit", metavar="N", default=None, help="Use only N examples of the data.")
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="[ARM:][PART.]NAME=VALUE",
    help="Set any option, of every arm that has it or of one; of the comparison: compare.NAME. Repeatable.",
)
@click.option("--out", metavar="DIR", default="", help="Where it is kept. Default: runs/compare-DATE-TIME")
@click.option("--jobs", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Processes at a time.")
@click.option("--print-config", is_flag=True, help="Print the whole configuration and stop.")
@click.option("--quiet", is_flag=True, help="Print the verdict only.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; everything else goes to stderr.")
def compare(**flags: Any) -> None:
    """Compare objectives with each other and with training from scratch: is it worth it?

    kptk compare --objectives contrastive,momentum,scratch --data mnist10k --budget 5epochs

    kptk compare FOLDER goes on with a comparison that was interrupted.
    """
    reporter = ConsoleReporter(quiet=flags["quiet"], to_stderr=flags["as_json"])
    result = _resume(flags, reporter) if flags["folder"] else _start(flags, reporter)
    if result is None:
        return
    if flags["as_json"]:
        print_json(result.summary)
    else:
        _print(result.summary, flags["quiet"])
    if result.failures:
        arms = "; ".join(f"{', '.join(row['arms'])} seed {row['seed']}" for row in result.failures)
        click.echo(f"Not everything could be compared: {arms}. Try again: kptk compare {result.folder}", err=True)
        sys.exit(EXIT_RUN_FAILED)


def _resume(flags: dict[str, Any], reporter: ConsoleReporter) -> Any:
    given = [name for name, value in flags.items() if value and name not in ONGOING]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"kptk compare FOLDER goes on with that comparison, which cannot be changed. Leave out: {words}; "
            "a new comparison is kept by --out DIR"
        )
    from kptk.training.compare import resume

    return resume(flags["folder"], jobs=flags["jobs"], reporter=reporter)


def _start(flags: dict[str, Any], reporter: ConsoleReporter) -> Any:
    from kptk.comparing import ComparisonRequest, resolve_comparison, to_toml
    from kptk.plugins import Plugins
    from kptk.request import Setting, parse_setting

    values = {name: flags[name] for name in FLAG_VALUES if flags[name] is not None}
    if flags["labels_per_class"]:
        values["labels_per_class"] = ",".join(flags["labels_per_class"])
    settings = []
    for flag, key in (("limit", "data.limit"), ("on_bad_input", "data.on_bad_input")):
        if flags[flag] is not None:
            settings.append(Setting(key, str(flags[flag]), text=True))
    for setting in map(parse_setting, flags["options"]):
        if setting.key.startswith(VALUE_PREFIX):
            values[setting.key.removeprefix(VALUE_PREFIX)] = setting.value
        else:
            settings.append(setting)
    request = ComparisonRequest(
        objectives=_words(flags["objectives"]),
        ready=flags["ready"],
        data=flags["data"],
        source=flags["source"],
        backbone=flags["backbone"],
        strategies=_words(flags["strategies"]),
        values=values,
        settings=tuple(settings),
    )
    plugins = Plugins()
    config = resolve_comparison(plugins, request)
    if flags["print_config"]:
        click.echo(to_toml(config).rstrip())
        return None
    from kptk.training.compare import start
    from kptk.training.compare.folder import ComparisonFolder

    path = Path(flags["out"]) if flags["out"] else ComparisonFolder.default_path()
    command = ["kptk", *sys.argv[1:]]
    return start(config, path, jobs=flags["jobs"], plugins=plugins, reporter=reporter, command=command)


def _words(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def _print(summary: dict[str, Any], quiet: bool) -> None:
    """Table, verdict and where things are."""
    if not quiet:
        columns, rows = table(summary)
        print_table("Test accuracy in %, mean ± half of the 95 % interval; costs of pre-training", columns, rows)
    for sentence in (*summary["verdicts"], *summary["guidance"], *filter(None, [summary["advice"]])):
        click.echo(sentence)
    if quiet:
        return
    tests = max((row["tests"] for row in summary["against_baseline"] if row["seeds"] > 1), default=0)
    if tests > 1:
        click.echo(f"Significance is corrected for {tests} comparisons (Holm).")
    click.echo(summary["protocol"])
    click.echo(f"Figure: {summary['figure']}")


def table(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The rows that a comparison is shown by.

    Args:
        summary: its figures.

    Returns:
        Headings, and texts: arms first, then controls.
    """
    scores = summary["accuracy"]
    labels = list(dict.fromkeys(row["labels_per_class"] for row in scores))
    costs = {row["arm"]: row for row in summary["costs"]}
    arms = list(dict.fromkeys(row["arm"] for row in sorted(scores, key=lambda row: row["control"])))
    cells = {(row["arm"], row["labels_per_class"], row["control"]): row for row in scores}
    rows = []
    for name in arms:
        control = all(row["control"] for row in scores if row["arm"] == name)
        cost = {} if control else costs.get(name, {})
        title = f"({name})" if control else name + (" (sees labels)" if cost.get("sees_labels") else "")
        rows.append(
            [
                title,
                *(_score(cells.get((name, label, control))) for label in labels),
                *(_cost(cost, key) for key in ("steps", "seconds", "tuning_seconds", "peak_mb", "parameters")),
            ]
        )
    heads = ["arm", *(f"k = {label}" for label in labels), "steps", "seconds", "tuning s", "MB", "parameters"]
    return heads, rows


def _score(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["seeds"] < 2:
        return f"{100 * row['mean']:.1f}"
    return f"{100 * row['mean']:.1f} ± {50 * (row['high'] - row['low']):.1f}"


def _cost(cost: dict[str, Any], key: str) -> str:
    return f"{cost[key]:,.0f}" if key in cost else ""
