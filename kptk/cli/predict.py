"""`kptk predict`: predictions of a fine-tuned model to a file."""

from __future__ import annotations

from pathlib import Path

import click

from kptk.cli.options import rows_options
from kptk.cli.output import ConsoleReporter, print_json


@click.command()
@click.argument("model", metavar="RUN|MODEL.keras")
@click.option("--data", metavar="PATH|NAME", required=True, help="Folder, .npz, .npy, or the name of a data set.")
@click.option("-o", "--out", metavar="FILE", required=True, help="Ends with .csv, .parquet or .jsonl.")
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@rows_options(limit=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def predict(
    model: str,
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
    """Write a fine-tuned model's predictions for some data."""
    from kptk.config import locate
    from kptk.parts import Choice
    from kptk.plugins import Plugins
    from kptk.training.paths import check_target, refuse_wrong_model

    plugins = Plugins()
    check_target(Path(out))
    refuse_wrong_model(model)  # before Keras is imported
    locate(plugins, data, any_reader=True)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetuned import predict as write

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    choice = Choice(part=split, fraction=fraction, limit=limit, seed=seed)
    written = write(model, data, out, choice=choice, on_bad_input=on_bad_input, plugins=plugins, reporter=reporter)
    if as_json:
        print_json(written)
    reporter.line(f"{written['path']}: {written['rows']:,} rows; columns {', '.join(written['columns'][:8])}")
