"""`kptk train`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kptk import assembly
from kptk.cli.options import PART_FLAGS, assembly_options, flag_value, to_request, tracker_option
from kptk.cli.output import ConsoleReporter, print_json
from kptk.config import RunConfig, resolve
from kptk.errors import KptkError, UsageError
from kptk.plugins import Plugins


class TrainCommand(click.Command):
    """Shows the options of the named plugin's parts in its help, whichever order the flags come in."""

    raw_args: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, since `--help` ends the parsing."""
        self.raw_args = tuple(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the run that the other flags describe."""
        del ctx
        flags = {part: flag_value(self.raw_args, f"--{part}") for part in (*PART_FLAGS, "plugin", "data")}
        flags["config_file"] = flag_value(self.raw_args, "--config")
        if not any(flags.values()):
            with formatter.section("Options of a plugin"):
                formatter.write_text("kptk train --plugin NAME --help")
            return
        try:
            config = resolve(Plugins(), to_request(flags))
        except KptkError as error:
            formatter.write_paragraph()
            formatter.write_text(f"Error: {error}")
            return
        _write_options(config, formatter)


def _write_options(config: RunConfig, formatter: click.HelpFormatter) -> None:
    from kptk.spellings import options_of

    for section, part in config.sections():
        rows = [
            (f"-o {section}.{option.name}={part.values[option.name]}", f"{option.help} ({option.rule})")
            for option in options_of(section, part.offer)
        ]
        title = f"[{section}] {part.id}".rstrip()
        with formatter.section(title):
            formatter.write_dl(rows or [("(no options)", "")])


@click.command(cls=TrainCommand)
@assembly_options
@click.option("--out", metavar="RUN_DIR", default="", help="Where the run is kept. Default: runs/PLUGIN-DATE-TIME")
@click.option("--epochs", metavar="N", default=None, help="Passes over the data.")
@click.option("--batch-size", metavar="N", default=None, help="Examples a step.")
@click.option(
    "--stop-on",
    metavar="WHAT",
    default=None,
    help="End early: nan (the loss is not a number), collapse,nan (the features collapsed, too), never.",
)
@tracker_option
@click.option("--resume", metavar="RUN_DIR", default="", help="Go on with an interrupted run.")
@click.option(
    "--print-config",
    type=click.Choice(("toml", "cli", "python")),
    is_flag=False,
    flag_value="toml",
    default=None,
    help="Print the whole configuration and stop.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan (size, measured step time, memory) and stop.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; everything else goes to stderr.")
def train(**flags: Any) -> None:
    """Pre-train a backbone on unlabelled data.

    kptk train --plugin contrastive runs with no other argument, on data that comes with a plugin.
    """
    reporter = ConsoleReporter(quiet=flags["quiet"], to_stderr=flags["as_json"])
    if flags["resume"]:
        _refuse_beside_resume(flags)
        result = _resume(flags["resume"], reporter)
    else:
        config = resolve(Plugins(), to_request(flags))
        assembly.check(config)
        if flags["print_config"]:
            click.echo(_spelled(config, flags["print_config"]).rstrip())
            return
        result = _start(config, flags, reporter)
    if result is not None and flags["as_json"]:
        print_json(result)


def _refuse_beside_resume(flags: dict[str, Any]) -> None:
    allowed = {"resume", "quiet", "as_json"}
    given = [name for name, value in flags.items() if value and name not in allowed]
    if given:
        words = ", ".join(f"--{name.replace('_', '-').removesuffix('-file')}" for name in given)
        raise UsageError(
            f"--resume goes on with the run's own configuration, so it cannot be changed. Leave out: {words}"
        )


def _spelled(config: RunConfig, form: str) -> str:
    from kptk import spellings

    if form == "toml":
        return spellings.to_toml(config)
    write = spellings.to_command if form == "cli" else spellings.to_python
    return write(Plugins(), config)


def _resume(folder: str, reporter: ConsoleReporter) -> dict[str, Any]:
    from kptk.runfolder import RunFolder

    RunFolder.open(folder)  # refuse a wrong folder before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.run import resume

    return resume(folder, Plugins(), reporter).summary


def _start(config: RunConfig, flags: dict[str, Any], reporter: ConsoleReporter) -> dict[str, Any]:
    from kptk.runfolder import RunFolder

    plugin = config.recipe.partition("/")[0] or config.objective.id.partition("/")[0]
    out = Path(flags["out"]) if flags["out"] else RunFolder.default_path(plugin)
    if not flags["dry_run"]:
        RunFolder.check_free(out)
    from kptk.training.assemble import open_data

    source = open_data(config)  # refuse bad data before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.run import Run

    run = Run(config, Plugins(), reporter, source)
    if flags["dry_run"]:
        from kptk.spellings import to_toml

        reporter.line(to_toml(config))
        plan = run.plan()
        reporter.line(f"Plan: {plan}")
        return {"plan": plan.to_dict(), "config": config.to_table()}
    return run.start(out).summary
