"""`kptk report`: a page to read and to send."""

from __future__ import annotations

import click

from kptk.cli.output import ConsoleReporter, print_json


@click.command()
@click.argument("paths", metavar="RUN|FINETUNED|COMPARISON...", nargs=-1, required=True)
@click.option(
    "--out", metavar="FILE", default="", help="The page. Default: report.html in the folder; here, of several."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def report(paths: tuple[str, ...], out: str, as_json: bool, quiet: bool) -> None:
    """Write one page about a run, a fine-tuned model or a comparison; about several runs, one that compares them.

    The page holds everything it shows and loads nothing.
    """
    from kptk.reports import target

    where = target(paths, out)  # refuse wrong folders before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.report.make import make_report

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    made = make_report(paths, where, reporter=reporter)
    if as_json:
        print_json(made)
    reporter.line(f"Report: {made['path']}")
