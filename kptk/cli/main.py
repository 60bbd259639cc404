"""The `kptk` command: finds a command's module when it is needed and turns errors into sentences and exit codes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

import kptk
from kptk.errors import KptkError, PluginError, did_you_mean

if TYPE_CHECKING:
    from kptk.discovery import Offer

COMMANDS = {
    "train": "kptk.cli.train:train",
    "evaluate": "kptk.cli.evaluate:evaluate",
    "embed": "kptk.cli.embed:embed",
    "report": "kptk.cli.report:report",
    "finetune": "kptk.cli.finetune:finetune",
    "predict": "kptk.cli.predict:predict",
    "export": "kptk.cli.export:export",
    "compare": "kptk.cli.compare:compare",
    "plan": "kptk.cli.plan:plan",
    "views": "kptk.cli.views:views",
    "replay": "kptk.cli.replay:replay",
    "runs": "kptk.cli.runs:runs",
    "data": "kptk.cli.data:data",
    "list": "kptk.cli.catalogue:list_offers",
    "show": "kptk.cli.catalogue:show",
    "cite": "kptk.cli.catalogue:cite",
    "plugins": "kptk.cli.plugins:plugins",
}

SUMMARIES = {
    "train": "Pre-train a backbone on unlabelled data.",
    "evaluate": "Score RUN: an encoder by kNN, probes, retrieval and more; a fine-tuned model by its task.",
    "embed": "Write the features that RUN's encoder gives for some data.",
    "report": "Write one page about a run, a fine-tuned model or a comparison; about several, one that compares them.",
    "finetune": "Fine-tune RUN's encoder, or that of a .keras file, on labelled data.",
    "predict": "Write a fine-tuned model's predictions for some data.",
    "export": "Write a fine-tuned model that takes raw input and runs without kptk.",
    "compare": "Compare objectives with each other and with training from scratch: is it worth it?",
    "plan": "Measure what pre-training costs here, and recommend a configuration.",
    "views": "Draw what the model is shown: examples and several draws of their views.",
    "replay": "Repeat RUN's steps up to the one whose loss was not a number, and say where that comes from.",
    "runs": "List, show, rank, compare and remove the runs in a folder.",
    "data": "Look at data: check it, see some rows, see the views, compare preparations of a table.",
    "list": "List what is installed: objectives, backbones, strategies, tasks, datasets, recipes and so on.",
    "show": "Show a part or a whole plugin: options, facts, references, where its code is.",
    "cite": "List the papers behind a run or a part, to cite what you used.",
    "plugins": "List, check, install, uninstall and write plugins.",
}
"""Each command's first sentence, said again here so that `--help` need not import them all."""


def _of_plugins() -> dict[str, Offer]:
    """The commands that plugins offer, by name. Their specs are read, their code is not."""
    from kptk.plugins import Plugins

    offers: dict[str, Offer] = {}
    for offer in Plugins().offers("command"):
        if offer.spec.name not in COMMANDS:
            offers.setdefault(offer.spec.name, offer)
    return offers


class Failure(click.ClickException):
    """A kptk error on its way out: its sentence, and its exit code."""

    def __init__(self, error: KptkError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the user's work; those of plugins last."""
        del ctx
        return [*COMMANDS, *_of_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        offer = _of_plugins().get(cmd_name)
        if offer is None:
            return None
        from kptk.plugins import load_target

        found = load_target(offer)
        if not isinstance(found, click.Command):
            raise PluginError(f"{offer.id} ({offer.label}) names `{offer.spec.target}`, which is no click command.")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help` without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))
        if offers := _of_plugins():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, offer.spec.summary) for name, offer in offers.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command of the arguments; an unknown one gets a suggestion."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and args[0] not in _of_plugins():
            known = self.list_commands(ctx)
            hint = did_you_mean(args[0], known) or f"Commands: {', '.join(known)}."
            raise click.UsageError(f"no command '{args[0]}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; kptk's errors become one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KptkError as error:
            raise Failure(error) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(kptk.__version__, prog_name="kptk", message="%(prog)s %(version)s")
def cli() -> None:
    """Pre-train Keras models on unlabelled data and fine-tune them on the task you have.

    Start with: kptk train --plugin contrastive
    """
