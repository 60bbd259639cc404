"""Every error that a user is meant to read, and its wording.

An error names the argument, the rule, the value it received and what to do next. Its class decides the exit code of
the command line: 0 done, 1 the run failed, 2 usage or input, 3 a plugin that the user named is broken.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

EXIT_RUN_FAILED = 1
EXIT_USAGE = 2
EXIT_BROKEN_PLUGIN = 3


class KptkError(Exception):
    """Base of the errors that kptk shows without a traceback."""

    exit_code = EXIT_RUN_FAILED


class RunError(KptkError):
    """A run that started could not go on: a full disk, a diverged loss that was told to stop."""


class UsageError(KptkError):
    """What was asked for is wrong: an unknown name, a bad value, parts that do not fit together."""

    exit_code = EXIT_USAGE


class InputError(UsageError):
    """The data cannot be used: a missing path, a corrupt file, a value that is not a number."""


class PluginError(KptkError):
    """A plugin that the user named is broken."""

    exit_code = EXIT_BROKEN_PLUGIN


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"`` for the nearest known word, or an empty string.

    Args:
        word: what was written.
        known: the words that would have been right.

    Returns:
        A sentence that can be appended to an error, empty when nothing is near.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""


def unknown_name(kind: str, name: str, known: Sequence[str], suspects: Sequence[str] = ()) -> UsageError:
    """Build the error for a name that no working plugin offers.

    Args:
        kind: what was looked for, such as ``"objective"``.
        name: the name that was written.
        known: the names that exist.
        suspects: one sentence for each plugin that failed to load and may have offered it.
    """
    hint = did_you_mean(name, known)
    if hint:
        return UsageError(f"no {kind} called '{name}'. {hint}")
    lines = [f"no {kind} called '{name}'.", *suspects]
    if not suspects:
        names = ", ".join(sorted(known)[:12])
        lines.append(f"There is: {names}." if names else f"No installed plugin offers any {kind}.")
        lines.append("See: kptk list; or install the plugin that has it: kptk plugins install kptk-...")
    return UsageError("\n".join(lines))


def ambiguous_name(flag: str, name: str, owners: Sequence[tuple[str, str]]) -> UsageError:
    """Build the error for a short name that several plugins offer.

    Args:
        flag: the command line's flag, such as ``"--plugin"``.
        name: the short name.
        owners: pairs of full id and distribution with version.
    """
    rows = "\n".join(f"  {full}  ({distribution})" for full, distribution in owners)
    return UsageError(f"'{name}' is offered by {len(owners)} plugins:\n{rows}\nSay which, e.g. {flag} {owners[0][0]}")


def unknown_option(owner: str, option: str, known: Sequence[str]) -> UsageError:
    """Build the error for an option that a part does not have.

    Args:
        owner: id of the part.
        option: the name that was written.
        known: the options that it has.
    """
    hint = did_you_mean(option, known)
    has = ", ".join(known) if known else "none"
    return UsageError(f"{owner} has no option '{option}'; it has: {has}" + (f". {hint}" if hint else ""))


def bad_value(name: str, rule: str, received: Any, hint: str = "") -> UsageError:
    """Build the error for a value that breaks its rule.

    Args:
        name: the argument or option.
        rule: what it must be, as the end of the sentence "`name` must be ...".
        received: the value.
        hint: what to do next.
    """
    return UsageError(f"`{name}` must be {rule}. Received: {received!r}." + (f" {hint}" if hint else ""))
