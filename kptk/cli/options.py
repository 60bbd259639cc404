"""Flags that several commands share, and how flags become a `Request`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from kptk.errors import UsageError
from kptk.request import Request, Setting, from_toml, parse_setting, tracker_names

PART_FLAGS = ("objective", "backbone", "preprocessor")
FLAG_SETTINGS = {
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "seed": "train.seed",
    "limit": "data.limit",
    "split": "data.part",
    "fraction": "data.fraction",
}
SPLIT_HELP = "Use only this part of the data: train, test, validation or all."
FRACTION_HELP = "Use only this share of the rows, of each class where there are labels."
LIMIT_HELP = "Use only N examples, drawn at random."


def rows_options(*, limit: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the flags that say which rows of the data are used, for commands without a configuration.

    Args:
        limit: whether ``--limit`` and the ``--seed`` of the draw are among them.
    """
    flags = [
        click.option("--split", "split", metavar="NAME", default="", help=SPLIT_HELP),
        click.option(
            "--fraction", type=click.FloatRange(0, 1, min_open=True), metavar="F", default=1.0, help=FRACTION_HELP
        ),
    ]
    if limit:
        flags += [
            click.option("--limit", type=click.IntRange(0), metavar="N", default=0, help=LIMIT_HELP),
            click.option("--seed", type=click.IntRange(0), metavar="N", default=0, help="Of these draws."),
        ]

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return add


tracker_option = click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME",
    help="Also keep the figures for another tool; repeatable; see: kptk list trackers",
)


def assembly_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say what a run is.

    Args:
        command: the function of a click command.
    """
    flags = [
        click.option("--plugin", metavar="NAME", default="", help="Plugin or recipe to run; see: kptk list recipes"),
        click.option("--data", metavar="PATH|NAME", default="", help="Folder, .npz, .npy, or the name of a data set."),
        click.option("--config", "config_file", metavar="FILE", default="", help="TOML as --print-config writes it."),
        *(
            click.option(f"--{part}", metavar="NAME", default="", help=f"Use another {part}; see: kptk list {part}s")
            for part in PART_FLAGS
        ),
        click.option("--seed", metavar="N", default=None, help="Decides weights, views and data order."),
        click.option("--split", metavar="NAME", default=None, help=SPLIT_HELP),
        click.option("--fraction", metavar="F", default=None, help=FRACTION_HELP),
        click.option("--limit", metavar="N", default=None, help=LIMIT_HELP),
        click.option(
            "--on-bad-input",
            type=click.Choice(("error", "skip")),
            default=None,
            help="Refuse unreadable inputs, or leave them out and list them.",
        ),
        click.option(
            "-o",
            "--option",
            "options",
            multiple=True,
            metavar="[PART.]NAME=VALUE",
            help="Set any option; repeatable.",
        ),
    ]
    for flag in reversed(flags):
        command = flag(command)
    return command


def to_request(flags: dict[str, Any]) -> Request:
    """Put the flags of a command line over its configuration file.

    Args:
        flags: values by parameter name, as click passes them.

    Returns:
        What the user said.
    """
    base = from_toml(flags["config_file"]) if flags.get("config_file") else Request()
    settings = [
        Setting(key, str(flags[flag]), text=True) for flag, key in FLAG_SETTINGS.items() if flags.get(flag) is not None
    ]
    if flags.get("on_bad_input"):
        settings.append(Setting("data.on_bad_input", flags["on_bad_input"], text=True))
    if flags.get("stop_on") is not None:
        settings.append(Setting("train.stop_on", stop_on(flags["stop_on"]), text=True))
    settings += [parse_setting(text) for text in flags.get("options", ())]
    names = {part: flags[part] for part in PART_FLAGS if flags.get(part)} | tracker_names(flags.get("trackers", ()))
    said = Request(recipe=flags.get("plugin", ""), names=names, data=flags.get("data", ""), settings=tuple(settings))
    return said.over(base)


def stop_on(words: str) -> str:
    """The option ``train.stop_on`` for a list of reasons: a run that stops on collapse stops on NaN, too.

    Args:
        words: comma-separated.

    Raises:
        UsageError: if one is unknown, or ``never`` stands beside another.

    Example:
        >>> stop_on("collapse,nan"), stop_on("nan")
        ('collapse', 'nan')
    """
    reasons = {word.strip() for word in words.split(",")}
    if reasons == {"never"} or reasons == {"nan"}:
        return words.strip()
    if reasons and reasons <= {"collapse", "nan"}:
        return "collapse"
    raise UsageError(f"--stop-on takes nan, collapse,nan or never. Received: {words}.")


def flag_value(arguments: Sequence[str], flag: str) -> str:
    """Find the value of a flag in raw arguments, in either spelling.

    Args:
        arguments: the words after the command.
        flag: such as ``"--plugin"``.
    """
    for index, word in enumerate(arguments):
        if word == flag and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return ""
