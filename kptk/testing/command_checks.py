"""Checks that a command is one, has a help text, and needs nothing heavy to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kptk.testing.fresh import run_module

if TYPE_CHECKING:
    from kptk.testing.checks import Function, Subject


def target_is_a_command(subject: Subject) -> None:
    """The target is a `click.Command` of the name of the spec."""
    command = subject.spec.load()
    assert isinstance(command, click.Command), f"{subject.spec.target} must be a click.Command. Received: {command!r}"
    assert command.name == subject.spec.name, f"the command is called {command.name!r}, its spec {subject.spec.name!r}"


def every_argument_has_help(subject: Subject) -> None:
    """The command says what it does, and every option has a help text."""
    for command in _with_parts(subject.spec.load()):
        assert command.help, f"the command '{command.name}' has no docstring"
        silent = [o.name for o in command.params if isinstance(o, click.Option) and not o.help]
        assert not silent, f"'{command.name}': no help for {', '.join(map(str, silent))}"


def help_imports_nothing_heavy(subject: Subject) -> None:
    """The module of the command can be imported without Keras, so that its help is fast."""
    heavy = run_module("kptk.testing.command_report", subject.spec.target.partition(":")[0])
    assert not heavy, f"{subject.spec.target} imports {', '.join(heavy)}; import inside the command's function"


def _with_parts(command: click.Command) -> list[click.Command]:
    parts = (
        [part for sub in command.commands.values() for part in _with_parts(sub)]
        if isinstance(command, click.Group)
        else []
    )
    return [command, *parts]


CHECKS: tuple[Function, ...] = (target_is_a_command, every_argument_has_help, help_imports_nothing_heavy)
