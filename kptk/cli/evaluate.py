"""`kptk evaluate`: is the run worth anything?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kptk.cli.output import ConsoleReporter, print_json

if TYPE_CHECKING:
    from kptk.plugins import Plugins

MEANING = {"run": "this run", "random": "random encoder", "raw": "raw inputs"}


@click.command()
@click.argument("run")
@click.option(
    "--data",
    metavar="PATH|NAME",
    required=True,
    help="Labelled data: class sub-folders, .npz with x and y, or a name.",
)
@click.option("--k", default=20, show_default=True, help="Neighbours of the kNN vote.")
@click.option("--seed", default=0, show_default=True, help="Of the split and the random encoder.")
@click.option("--limit", default=5000, show_default=True, help="Rows of each part at most; 0 for all.")
@click.option("--robustness", is_flag=True, help="Attack the linear probe, too (PGD on the pixels; images only).")
@click.option(
    "--epsilon",
    "epsilons",
    multiple=True,
    type=click.FloatRange(0, 1, min_open=True),
    default=(0.05, 0.1, 0.2),
    show_default=True,
    help="Largest change of a pixel of 0..1 by --robustness; repeatable.",
)
@click.option(
    "--part",
    type=click.Choice(("auto", "test", "all")),
    default="auto",
    show_default=True,
    help="Of a fine-tuned model: score the data's own test part, or every row; auto: the test part if there is one.",
)
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Print the scores only.")
def evaluate(run: str, data: str, part: str, as_json: bool, quiet: bool, robustness: bool, **options: Any) -> None:
    """Score RUN: a pre-trained encoder by kNN and linear probe, a fine-tuned model by its task.

    An encoder is scored beside a random encoder and the raw inputs. A fine-tuned model may also be a .keras file.
    """
    from kptk.config import locate
    from kptk.plugins import Plugins
    from kptk.runfolder import RunFolder

    if not robustness:
        options["epsilons"] = ()
    plugins = Plugins()
    if Path(run).suffix == ".keras" or RunFolder.open(run).finetuned:
        _evaluate_finetuned(plugins, run, data, part, options["on_bad_input"], as_json, quiet)
        return
    _ = RunFolder.open(run).backbone  # refuse a wrong folder or path before Keras is imported
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.evaluation import evaluate as judge

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    result = judge(run, data, plugins=plugins, reporter=reporter, **options)
    if as_json:
        print_json(result.to_dict())
        return
    first = result.scores[0]
    rows = f"{first.test:,} test rows, {first.train:,} labelled rows to learn from"
    reporter.line(f"{run} on {data}: accuracy on {rows}, seed {first.seed}")
    for score in result.scores:
        if score.protocol != "pgd":
            probe = f"kNN (k={score.k})" if score.protocol == "knn" else "linear probe"
            click.echo(f"{MEANING[score.encoder]:<16} {probe:<14} {100 * score.value:6.2f} %")
    attacked = [score for score in result.scores if score.protocol == "pgd"]
    if attacked:
        reporter.line(
            f"Linear probe on {attacked[0].test:,} test rows whose pixels are changed against it (PGD, 20 steps)"
        )
    for score in attacked:
        probe = f"by up to {score.epsilon:g}" if score.epsilon else "unchanged"
        click.echo(f"{MEANING[score.encoder]:<16} {probe:<14} {100 * score.value:6.2f} %")


def _evaluate_finetuned(
    plugins: Plugins, run: str, data: str, part: str, on_bad_input: str | None, as_json: bool, quiet: bool
) -> None:
    from kptk.config import locate
    from kptk.training.paths import refuse_wrong_model

    refuse_wrong_model(run)
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetuned import evaluate_finetuned

    result = evaluate_finetuned(run, data, part=part, on_bad_input=on_bad_input, plugins=plugins)
    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    if result["warning"]:
        reporter.line(f"Warning: {result['warning']}.")
    if as_json:
        print_json(result)
        return
    reporter.line(f"{run} on {result['data']}, task {result['task']}:")
    for row in result["results"]:
        click.echo(f"{row['metric']:<20} {row['value']:.4f}")
