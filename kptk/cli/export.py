"""`kptk export`: a fine-tuned model for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from kptk.cli.output import ConsoleReporter, print_json


@click.command()
@click.argument("model", metavar="RUN|MODEL.keras")
@click.option(
    "--format",
    "form",
    type=click.Choice(("keras", "savedmodel", "onnx", "litert")),
    default="keras",
    show_default=True,
    help="What to write.",
)
@click.option("-o", "--out", metavar="PATH", default="", help="Where to; beside the model if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def export(model: str, form: str, out: str, as_json: bool, quiet: bool) -> None:
    """Write a fine-tuned model that takes raw input and runs without kptk.

    What was written is loaded again and compared with the model; nothing is kept if they differ.
    """
    from kptk.training.paths import check_free, default_target, refuse_wrong_model

    refuse_wrong_model(model)  # before Keras is imported
    check_free(Path(out) if out else default_target(Path(model), form), form)
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.export import export as write

    reporter = ConsoleReporter(quiet=quiet, to_stderr=as_json)
    written = write(model, form, out)
    if as_json:
        print_json(written)
    shape = " x ".join("rows" if size is None else str(size) for size in written["input"]["shape"])
    reporter.line(
        f"{written['path']}: takes {written['input']['dtype']} {shape}; "
        f"largest difference from the model {written['difference']:.1e}"
    )
