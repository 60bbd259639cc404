"""`kptk predict`: predictions of a fine-tuned model to a file."""

from __future__ import annotations

from pathlib import Path

import click

from kptk.cli.options import rows_options
from kptk.cli.output import ConsoleReporter, print_json
from kptk.errors import UsageError

TASK = "task."


@click.command()
@click.argument("model", metavar="RUN|MODEL.keras")
@click.option("--data", metavar="PATH|NAME", required=True, help="Folder, .npz, .npy, or the name of a data set.")
@click.option(
    "-o",
    "--out",
    "outs",
    metavar="FILE|task.NAME=VALUE",
    required=True,
    multiple=True,
    help="Where to: .csv, .parquet or .jsonl. Also, and repeatable: how a task makes predictions, task.temperature=0.7.",
)
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@rows_options(limit=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def predict(
    model: str,
    data: str,
    outs: tuple[str, ...],
    on_bad_input: str | None,
    split: str,
    fraction: float,
    limit: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a fine-tuned model's predictions for some data."""
    out, options = _divided(outs)
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
    written = write(
        model,
        data,
        out,
        choice=Choice(part=split, fraction=fraction, limit=limit, seed=seed),
        on_bad_input=on_bad_input,
        options=options,
        plugins=plugins,
        reporter=reporter,
    )
    if as_json:
        print_json(written)
    reporter.line(f"{written['path']}: {written['rows']:,} rows; columns {', '.join(written['columns'][:8])}")


def _divided(outs: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The file, and the options of the task."""
    options = dict(out.removeprefix(TASK).split("=", 1) for out in outs if out.startswith(TASK) and "=" in out)
    files = [out for out in outs if not (out.startswith(TASK) and "=" in out)]
    if len(files) != 1:
        raise UsageError(
            f"-o must name one file to write. Received: {', '.join(files) or 'none'}. Such as: -o predictions.csv"
        )
    return files[0], options
