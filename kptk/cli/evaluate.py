"""`kptk evaluate`: is the run worth anything?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kptk import settings
from kptk.cli.options import rows_options
from kptk.cli.output import ConsoleReporter, print_json
from kptk.errors import InputError, UsageError
from kptk.parts import Choice
from kptk.request import parse_setting

if TYPE_CHECKING:
    from kptk.plugins import Plugins

MEANING = {"run": "this run", "random": "random encoder", "raw": "raw inputs"}
LIST = "comma-separated, repeatable"


def _words(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Split ``a,b``, of every time that the option was given."""
    del context, parameter
    return tuple(dict.fromkeys(word.strip() for value in values for word in value.split(",") if word.strip()))


def _numbers(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...] | None:
    """Split ``1,5``, of every time that the option was given."""
    try:
        return tuple(int(word) for word in _words(context, parameter, values)) or None
    except ValueError:
        raise click.BadParameter(f"takes whole numbers, such as 1,5,10. Received: {','.join(values)}.") from None


def _data_options(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """``data.label=income`` as a name and a text."""
    del context, parameter
    settings = [parse_setting(text) for text in texts]
    for setting in settings:
        if not setting.key.startswith("data."):
            raise UsageError(f"-o takes options of the data here, such as data.label=COLUMN. Received: {setting.key}.")
    return {setting.key.removeprefix("data."): str(setting.value) for setting in settings}


@click.command()
@click.argument("run", metavar="RUN|MODEL.keras")
@click.option(
    "--data",
    metavar="PATH|NAME",
    required=True,
    help="Labelled data: class sub-folders, .npz with x and y, or a name.",
)
@click.option(
    "--protocols",
    metavar="NAMES",
    multiple=True,
    default=(",".join(settings.QUICK_PROTOCOLS),),
    show_default=",".join(settings.QUICK_PROTOCOLS),
    callback=_words,
    help=f"How to judge, {LIST}; also: {', '.join(p for p in settings.PROTOCOLS if p not in settings.QUICK_PROTOCOLS)}, all.",
)
@click.option("--k", default=20, show_default=True, help="Neighbours of the kNN vote.")
@click.option(
    "--labels-per-class",
    metavar="N,N",
    multiple=True,
    callback=_numbers,
    help=f"Labels of each class of the few-label probe, {LIST}.  [default: 1,5,10, as far as there are]",
)
@click.option("--draws", default=5, show_default=True, help="How often those labels are drawn.")
@click.option("--seed", default=0, show_default=True, help="Of the split, the draws and the random encoder.")
@click.option("--limit", default=5000, show_default=True, help="Rows of each part at most; 0 for all.")
@click.option("--robustness", is_flag=True, help="Add the protocols corruptions and pgd (images only).")
@click.option(
    "--epsilon",
    "epsilons",
    multiple=True,
    type=click.FloatRange(0, 1, min_open=True),
    default=settings.EPSILONS,
    show_default=True,
    help="Largest change of a pixel of 0..1 by pgd; repeatable.",
)
@click.option(
    "--corruptions",
    metavar="NAMES",
    multiple=True,
    default=(",".join(settings.CORRUPTIONS),),
    show_default=",".join(settings.CORRUPTIONS),
    callback=_words,
    help=f"What to do to the images, {LIST}.",
)
@click.option("--severity", type=click.IntRange(1, 5), default=3, show_default=True, help="How strongly.")
@click.option(
    "--part",
    type=click.Choice(("auto", "test", "all")),
    default="auto",
    show_default=True,
    help="Of a fine-tuned model: score the data's own test part, or every row; auto: the test part if there is one.",
)
@rows_options(limit=False)
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@click.option(
    "-o",
    "data_options",
    metavar="data.NAME=VALUE",
    multiple=True,
    callback=_data_options,
    help="An option of the data's reader, such as data.label=COLUMN; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Print the scores only.")
def evaluate(
    run: str, data: str, part: str, split: str, as_json: bool, quiet: bool, robustness: bool, **options: Any
) -> None:
    """Score RUN: an encoder by kNN, probes, retrieval and more; a fine-tuned model by its task.

    An encoder is scored beside a random encoder and the raw inputs, each figure with its 95 % interval. It may also be a
    .keras file.
    """
    from kptk.config import locate
    from kptk.plugins import Plugins
    from kptk.runfolder import RunFolder
    from kptk.training.paths import finetuned_file

    if robustness:
        options["protocols"] = (*options["protocols"], "corruptions", "pgd")
    if not {"pgd", "all"} & set(options["protocols"]):
        options["epsilons"] = ()
    plugins = Plugins()
    if Path(run).suffix == ".keras" and not Path(run).is_dir():
        if not Path(run).exists():
            raise InputError(f"no run folder or .keras file at {run}.")
        finetuned = finetuned_file(Path(run), plugins)
    else:
        finetuned = RunFolder.open(run).finetuned
        if not finetuned:
            _ = RunFolder.open(run).backbone  # refuse a wrong folder or path before Keras is imported
    if finetuned:
        if split and part != "auto":
            raise UsageError("--split and --part both say which rows are scored. Leave one out.")
        choice = Choice(part=split, fraction=options["fraction"], seed=options["seed"])
        _evaluate_finetuned(plugins, run, data, part, choice, options["on_bad_input"], as_json, quiet)
        return
    if part != "auto":
        raise UsageError(
            "--part is for fine-tuned models; an encoder is tested on the data's own test part, or on half."
        )
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.evaluation import evaluate as judge
    from kptk.training.evaluation_file import keep

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    result = judge(run, data, part=split, plugins=plugins, reporter=reporter, **options)
    rows = str(Choice(part=split, fraction=options["fraction"]))
    keep(run, f"{data}, {rows}" if rows else data, result)
    if as_json:
        print_json(result.to_dict())
        return
    train, test = (max(getattr(score, part) for score in result.scores) for part in ("train", "test"))
    learned = f", {train:,} labelled rows to learn from" if train else ""
    reporter.line(f"{run} on {data}: {test:,} test rows{learned}, seed {result.scores[0].seed}")
    reporter.line("[low, high]: 95 % interval by resampling the tested rows, and the labels where they are drawn")
    for line in _table(result.scores):
        click.echo(line)


def _table(scores: Any) -> list[str]:
    """A line a figure with the three encoders beside each other; each kind of figure below its protocol in words."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for score in scores:
        rows.setdefault((score.protocol, name_of(score)), {})[score.encoder] = score
    width = max(len(name) for _, name in rows)
    lines = [" " * width + "".join(f"  {MEANING[encoder]:<22}" for encoder in MEANING).rstrip()]
    for (_, name), found in rows.items():
        cells = (figure(found[encoder]) if encoder in found else "-" for encoder in MEANING)
        lines.append((f"{name:<{width}}" + "".join(f"  {cell:<22}" for cell in cells)).rstrip())
    return lines


def name_of(score: Any) -> str:
    """What a score is called in a table.

    Args:
        score: the score.
    """
    if score.protocol == "knn":
        return f"kNN (k={score.k})"
    if score.protocol == "few-label":
        return f"{score.labels_per_class} label{'' if score.labels_per_class == 1 else 's'} a class"
    if score.protocol == "pgd":
        return f"PGD {score.epsilon:g}" if score.epsilon else "PGD: unchanged"
    if score.protocol == "corruptions":
        return score.corruption.replace("_", " ") if score.severity else "corruptions: none"
    names = {"linear": "linear probe", "lp-ft": "LP-FT", "retrieval": score.metric, "alignment": score.metric}
    return names.get(score.protocol, score.metric.replace("_", " "))


def figure(score: Any) -> str:
    """A score with its interval: shares in per cent.

    Args:
        score: the score.
    """
    if score.metric in ("effective_rank", "alignment", "uniformity"):
        return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
    return f"{100 * score.value:.2f} % [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _evaluate_finetuned(
    plugins: Plugins,
    run: str,
    data: str,
    part: str,
    choice: Choice,
    on_bad_input: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from kptk.config import locate
    from kptk.training.paths import refuse_wrong_model

    refuse_wrong_model(run)
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetuned import evaluate_finetuned

    result = evaluate_finetuned(run, data, part=part, choice=choice, on_bad_input=on_bad_input, plugins=plugins)
    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    if result["warning"]:
        reporter.line(f"Warning: {result['warning']}.")
    if as_json:
        print_json(result)
        return
    reporter.line(f"{run} on {result['data']}, task {result['task']}:")
    for row in result["results"]:
        click.echo(f"{row['metric']:<20} {row['value']:.4f}")
