"""Checks of a plugin as a whole: does it load, lightly, under the right names, with well-formed specs."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from kptk.spec import NAME, SUMMARY_LENGTH, TARGET, Option, Spec
from kptk.testing.checks import Function, Skip, Subject
from kptk.testing.fresh import run_module
from kptk.testing.temporary import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = re.compile(r"^https?://[\w.-]+\.\w+(/\S*)?$")
TYPES = (int, float, bool, str)


def loads(subject: Subject) -> None:
    """The plugin is installed, its module imports, and its hooks return specs that kptk takes."""
    report = _report(subject)
    assert report["installed"], f"no plugin called '{subject.plugin}' is installed; KPTK_PLUGINS may hide it"
    assert not report["problems"], "\n".join(report["problems"])


def imports_nothing_heavy(subject: Subject) -> None:
    """Discovery imports no framework and no NumPy: every kptk command waits for it."""
    heavy = _installed(subject)["heavy"]
    assert not heavy, f"discovery imports {', '.join(heavy)}; name implementations by string targets"


def hooks_are_known(subject: Subject) -> None:
    """Every function called ``kptk_...`` and every marked one is a hook of kptk; others are never called."""
    unknown = _installed(subject)["unknown_hooks"]
    assert not unknown, f"kptk has no hook {', '.join(unknown)}; see the hooks in docs/writing-a-plugin.md"


def distribution_is_named_kptk_x(subject: Subject) -> None:
    """Plugin ``x`` is distribution ``kptk-x`` with package ``kptk_x``: each is found from the others."""
    found = subject.found
    assert found is not None, f"no plugin called '{subject.plugin}' is installed"
    distribution = re.sub(r"[-_.]+", "-", found.distribution).lower()
    wanted = f"kptk-{found.name.replace('_', '-')}"
    assert distribution == wanted, f"distribution {found.distribution} of plugin '{found.name}' must be named {wanted}"
    package = found.value.partition(":")[0].partition(".")[0]
    assert package == f"kptk_{found.name}", f"the package of plugin '{found.name}' is {package}, not kptk_{found.name}"


def spec_fields_are_well_formed(subject: Subject) -> None:
    """Names, targets, summaries, references and options keep the rules that lists and docs rely on."""
    faults = [f"{offer.id}: {fault}" for offer in subject.offers for fault in _faults(offer.spec)]
    assert not faults, "\n".join(faults)


def names_are_unique(subject: Subject) -> None:
    """In each kind, no name or alias is offered twice; no other distribution has the plugin's name."""
    for kind, names in _installed(subject)["names"].items():
        repeated = [name for name, count in Counter(names).items() if count > 1]
        assert not repeated, f"{kind} {', '.join(repeated)} is offered more than once"
    labels = {problem.label for problem in subject.plugins.problems if problem.plugin == subject.plugin}
    others = labels - {subject.found.label if subject.found else ""}
    assert not others, f"the name '{subject.plugin}' is also taken by {', '.join(sorted(others))}"


def _report(subject: Subject) -> Any:
    if subject.found is not None and is_temporary(subject.found):
        raise Skip("a temporary plugin exists in this process only")
    return subject.once("discovery report", lambda: run_module("kptk.testing.discovery_report", subject.plugin))


def _installed(subject: Subject) -> Any:
    report = _report(subject)
    assert report["installed"], f"no plugin called '{subject.plugin}' is installed"
    return report


def _faults(spec: Spec) -> Iterator[str]:
    for name in (spec.name, *spec.aliases):
        if not spec.pattern.match(name):
            yield f"the name {name!r} must be a lower-case identifier"
    if spec.kind in ("recipe", "comparison"):
        if spec.target:
            yield f"a {spec.kind} has no target"
    elif not TARGET.match(spec.target):
        yield f"the target must have the form 'package.module:attribute'. Received: {spec.target!r}"
    if not spec.summary.endswith(".") or "\n" in spec.summary:
        yield f"the summary must be one line that ends with a full stop. Received: {spec.summary!r}"
    if len(spec.summary) > SUMMARY_LENGTH:
        yield f"the summary must have at most {SUMMARY_LENGTH} characters. Received: {len(spec.summary)}"
    for reference in spec.references:
        if not REFERENCE.match(reference):
            yield f"a reference must be an http(s) address. Received: {reference!r}"
    repeated = [name for name, count in Counter(option.name for option in spec.options).items() if count > 1]
    if repeated:
        yield f"option {', '.join(repeated)} is there more than once"
    for option in spec.options:
        for fault in _option_faults(option):
            yield f"option '{option.name}': {fault}"


def _option_faults(option: Option) -> Iterator[str]:
    if not NAME.match(option.name):
        yield "the name must be a lower-case identifier"
    if option.type not in TYPES:
        yield f"the type must be int, float, bool or str. Received: {option.type!r}"
        return
    if not option.help.endswith("."):
        yield f"the help must end with a full stop. Received: {option.help!r}"
    bounds = [bound for bound in (option.low, option.high, option.above) if bound is not None]
    if bounds and option.type not in (int, float):
        yield "only numbers have bounds"
        return
    lowest = max((bound for bound in (option.low, option.above) if bound is not None), default=float("-inf"))
    if option.high is not None and option.high < lowest:
        yield f"no value can be at least {lowest:g} and at most {option.high:g}"
    try:
        option.check(option.default)
    except Exception as error:
        yield f"the default breaks its own rule: {error}"


CHECKS: tuple[Function, ...] = (
    loads,
    imports_nothing_heavy,
    hooks_are_known,
    distribution_is_named_kptk_x,
    spec_fields_are_well_formed,
    names_are_unique,
)
