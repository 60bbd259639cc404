"""`kptk replay`: why did the loss stop being a number?"""

from __future__ import annotations

import click

from kptk.cli.output import ConsoleReporter, print_json


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def replay(run: str, as_json: bool, quiet: bool) -> None:
    """Repeat RUN's steps up to the one whose loss was not a number, and say where that comes from."""
    from kptk.errors import InputError
    from kptk.runfolder import NAN_BATCH, RunFolder

    folder = RunFolder.open(run)  # refuse a wrong folder before Keras is imported
    if not (folder.path / NAN_BATCH).exists():
        raise InputError(f"{run} has no {NAN_BATCH}: no loss of this run was anything but a number.")
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.replay import replay as again

    found = again(run, reporter=ConsoleReporter(quiet=quiet, to_stderr=as_json))
    if as_json:
        print_json(found.to_dict())
