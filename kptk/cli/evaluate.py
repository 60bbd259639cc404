"""`kptk evaluate`: is the run worth anything?"""

from __future__ import annotations

from typing import Any

import click

from kptk.cli.output import ConsoleReporter, print_json

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
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Print the scores only.")
def evaluate(run: str, data: str, as_json: bool, quiet: bool, robustness: bool, **options: Any) -> None:
    """Print the kNN and linear-probe accuracy of RUN, beside a random encoder and the raw inputs."""
    from kptk.config import locate
    from kptk.plugins import Plugins
    from kptk.runfolder import RunFolder

    if not robustness:
        options["epsilons"] = ()
    plugins = Plugins()
    _ = RunFolder.open(run).backbone  # refuse a wrong folder or path before Keras is imported
    locate(plugins, data)
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
