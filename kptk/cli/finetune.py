"""`kptk finetune`: from a pre-trained encoder to a model that predicts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from kptk.cli.options import FRACTION_HELP, LIMIT_HELP, SPLIT_HELP, tracker_option
from kptk.cli.output import ConsoleReporter, print_json
from kptk.errors import UsageError

FLAG_SETTINGS = {
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "seed": "train.seed",
    "labels_per_class": "train.labels_per_class",
    "split": "data.part",
    "fraction": "data.fraction",
    "limit": "data.limit",
    "on_bad_input": "data.on_bad_input",
}


@click.command()
@click.argument("origin", metavar="RUN|MODEL.keras", required=False, default="")
@click.option("--task", metavar="NAME", default="", help="What to learn; see: kptk list tasks")
@click.option("--data", metavar="PATH|NAME", default="", help="Labelled data: class sub-folders, .npz, or a name.")
@click.option("--strategy", metavar="NAME", default="", help="How; see: kptk list strategies  [default: lp-ft]")
@click.option(
    "--preprocessor", metavar="NAME", default="", help="What prepares the inputs of a plain model, or 'none'."
)
@click.option("--labels-per-class", metavar="N", default=None, help="Use only N labelled rows of each class.")
@click.option("--split", metavar="NAME", default=None, help=SPLIT_HELP)
@click.option("--fraction", metavar="F", default=None, help=FRACTION_HELP)
@click.option("--limit", metavar="N", default=None, help=LIMIT_HELP)
@click.option("--out", metavar="DIR", default="", help="Where the run is kept. Default: runs/finetune-DATE-TIME")
@click.option("--epochs", metavar="N", default=None, help="Passes over the labelled rows, in all phases.")
@click.option("--batch-size", metavar="N", default=None, help="Examples a step.")
@click.option("--seed", metavar="N", default=None, help="Decides the labelled rows, the head and the data order.")
@click.option("--on-bad-input", type=click.Choice(("error", "skip")), default=None, help="Refuse or leave out.")
@click.option(
    "-o", "--option", "options", multiple=True, metavar="[PART.]NAME=VALUE", help="Set any option; repeatable."
)
@tracker_option
@click.option("--resume", metavar="DIR", default="", help="Go on with an interrupted fine-tuning.")
@click.option("--print-config", is_flag=True, help="Print the whole configuration and stop.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; everything else goes to stderr.")
def finetune(**flags: Any) -> None:
    """Fine-tune RUN's encoder, or that of a .keras file, on labelled data.

    kptk finetune runs/digits --task classification --data mnist10k --labels-per-class 10
    """
    reporter = ConsoleReporter(quiet=flags["quiet"], to_stderr=flags["as_json"])
    summary = _resume(flags, reporter) if flags["resume"] else _start(flags, reporter)
    if summary is not None and flags["as_json"]:
        print_json(summary)


def _resume(flags: dict[str, Any], reporter: ConsoleReporter) -> dict[str, Any]:
    given = [name for name, value in flags.items() if value and name not in ("resume", "quiet", "as_json")]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"--resume goes on with the run's own configuration, so it cannot be changed. Leave out: {words}"
        )
    from kptk.plugins import Plugins
    from kptk.runfolder import RunFolder

    if not RunFolder.open(flags["resume"]).finetuned:  # refuse a wrong folder before Keras is imported
        raise UsageError(
            f"{flags['resume']} is a pre-training run. Go on with it: kptk train --resume {flags['resume']}"
        )
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetune import resume

    return resume(flags["resume"], Plugins(), reporter).summary


def _start(flags: dict[str, Any], reporter: ConsoleReporter) -> dict[str, Any] | None:
    from kptk.finetuning import resolve_finetune
    from kptk.plugins import Plugins
    from kptk.request import Request, Setting, parse_setting, tracker_names
    from kptk.runfolder import RunFolder
    from kptk.tracking import require_packages

    plugins = Plugins()
    settings = [
        Setting(key, str(flags[flag]), text=True) for flag, key in FLAG_SETTINGS.items() if flags[flag] is not None
    ]
    names = {name: flags[name] for name in ("task", "strategy", "preprocessor") if flags[name]}
    names |= tracker_names(flags["trackers"])
    request = Request(
        recipe=flags["origin"],
        names=names,
        data=flags["data"],
        settings=(*settings, *map(parse_setting, flags["options"])),
    )
    config = resolve_finetune(plugins, request)
    if flags["print_config"]:
        click.echo(config.to_toml().rstrip())
        return None
    out = Path(flags["out"]) if flags["out"] else RunFolder.default_path("finetune")
    RunFolder.check_free(out)
    require_packages(config.trackers)
    from kptk.training.assemble import open_source

    source = open_source(config.data, config.train.values["seed"])  # refuse bad data before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetune import FineTune

    command = shlex.join(["kptk", *sys.argv[1:]])
    return FineTune(config, plugins, reporter, source).start(out, command).summary
