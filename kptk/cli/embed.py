"""`kptk embed`: features of any data to a file."""

from __future__ import annotations

from pathlib import Path

import click

from kptk.cli.options import rows_options
from kptk.cli.output import ConsoleReporter, print_json


@click.command()
@click.argument("run")
@click.option("--data", metavar="PATH|NAME", required=True, help="Folder, .npz, .npy, or the name of a data set.")
@click.option("-o", "--out", metavar="FILE", required=True, help="Ends with .npz or .parquet.")
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@rows_options(limit=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def embed(
    run: str,
    data: str,
    out: str,
    on_bad_input: str | None,
    split: str,
    fraction: float,
    limit: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the features that RUN's encoder gives for some data.

    RUN may be a fine-tuning for similarity: then they are what it compares by their cosine.
    """
    from kptk.config import locate
    from kptk.parts import Choice
    from kptk.plugins import Plugins
    from kptk.training.embedding import check_run, check_target

    plugins = Plugins()
    check_target(Path(out))
    check_run(run, plugins)  # refuse a wrong folder or path before Keras is imported
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.embedding import embed as write

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    choice = Choice(part=split, fraction=fraction, limit=limit, seed=seed)
    written = write(run, data, out, choice=choice, on_bad_input=on_bad_input, plugins=plugins, reporter=reporter)
    if as_json:
        print_json(written)
    reporter.line(f"{written['path']}: {written['rows']:,} rows of {written['dimensions']} numbers")
