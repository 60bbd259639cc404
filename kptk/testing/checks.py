"""What a check is, which checks a plugin gets, and running them without pytest."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kptk.errors import UsageError, did_you_mean
from kptk.plugins import Plugins
from kptk.spec import SPECS

if TYPE_CHECKING:
    from kptk.discovery import Found, Offer

PLUGIN_CHECKS = "kptk.testing.discovery_checks"
"""Where the checks of a plugin as a whole are."""

OFFER_CHECKS: dict[str, tuple[str, ...]] = {
    "objective": ("spec_checks", "keras_checks", "learning_checks"),
    "backbone": ("spec_checks", "backbone_checks"),
    "preprocessor": ("spec_checks", "preprocessor_checks"),
    "strategy": ("spec_checks", "finetune_checks"),
    "task": ("spec_checks", "finetune_checks"),
    "dataset": ("spec_checks", "dataset_checks"),
    "recipe": ("recipe_checks",),
    "command": ("command_checks",),
    "comparison": ("comparison_checks",),
    "tracker": ("spec_checks", "tracker_checks"),
}
"""For each kind of offer, the modules of this package whose checks it gets."""


class Skip(Exception):
    """Raised by a check that cannot say anything here; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at.

    Args:
        plugin: entry-point name of the plugin.
        plugins: the registry.
        offer: the offer, or None for the plugin as a whole.
        cache: shared by all checks of one plugin, for results that are slow to make.
    """

    plugin: str
    plugins: Plugins
    offer: Offer | None = None
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def spec(self) -> Any:
        """The spec of the offer."""
        assert self.offer is not None, "this check is about the plugin as a whole"
        return self.offer.spec

    @property
    def found(self) -> Found | None:
        """The installed plugin by its metadata, None if there is none of that name."""
        return next((item.found for item in self.plugins.loaded if item.found.name == self.plugin), None)

    @property
    def offers(self) -> list[Offer]:
        """Everything that the plugin offers, of any kind."""
        return [offer for kind in SPECS for offer in self.plugins.offers(kind) if offer.plugin == self.plugin]

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, calling it at most once for all checks of the plugin.

        Args:
            key: names the result.
            make: makes it.
        """
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]


Function = Callable[[Subject], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one subject. Call it: it returns nothing, raises `Skip`, or raises what is wrong.

    Args:
        function: the check.
        subject: what it looks at.
    """

    function: Function
    subject: Subject

    @property
    def name(self) -> str:
        """Name of the behaviour, ``"config_round_trips"``."""
        return self.function.__name__

    @property
    def id(self) -> str:
        """Readable id, ``"contrastive-objective-contrastive-config_round_trips"``."""
        offer = self.subject.offer
        middle = f"{offer.spec.kind}-{offer.spec.name}" if offer else "plugin"
        return f"{self.subject.plugin}-{middle}-{self.name}"

    def __call__(self) -> None:
        """Run the check."""
        self.function(self.subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check.

    Args:
        id: the check's id.
        status: ``"passed"``, ``"failed"``, ``"skipped"``, or for an expected failure ``"failed as expected"``
            or ``"passed unexpectedly"``.
        message: why it failed, was skipped or was expected to fail.
        seconds: how long it took.
    """

    id: str
    status: str
    message: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended: a failure that was expected is fine, one that is gone is not."""
        return self.status not in ("failed", "passed unexpectedly")


def collect(name: str, plugins: Plugins | None = None) -> list[Check]:
    """List the checks of a plugin. Imports no Keras.

    Args:
        name: entry-point name; if there is no such plugin, the check that it loads will fail.
        plugins: the registry; a new one if None.
    """
    whole = Subject(name, plugins or Plugins())
    checks = [Check(function, whole) for function in _functions(PLUGIN_CHECKS)]
    for offer in whole.offers:
        subject = Subject(name, whole.plugins, offer, whole.cache)
        checks += [
            Check(function, subject)
            for module in OFFER_CHECKS[offer.spec.kind]
            for function in _functions(f"kptk.testing.{module}")
            if getattr(function, "only_for", offer.spec.kind) == offer.spec.kind
        ]
    return checks


def _functions(module: str) -> Iterable[Function]:
    checks: Iterable[Function] = importlib.import_module(module).CHECKS
    return checks


def only_for(kind: str) -> Callable[[Function], Function]:
    """Mark a check in a module for several kinds as being for one of them.

    Args:
        kind: one of `kptk.spec.SPECS`.
    """

    def mark(function: Function) -> Function:
        function.only_for = kind  # type: ignore[attr-defined]
        return function

    return mark


def known_failures(checks: Iterable[Check], expected_failures: Mapping[str, str]) -> dict[str, str]:
    """Return the expected failures, after a look at their ids.

    Args:
        checks: the checks of the plugin.
        expected_failures: reasons by id.

    Raises:
        UsageError: if an id belongs to no check or a reason is empty.
    """
    ids = [check.id for check in checks]
    for key, reason in expected_failures.items():
        if key not in ids:
            hint = did_you_mean(key, ids)
            raise UsageError(f"`expected_failures` must name checks of this plugin. Received: {key!r}. {hint}".strip())
        if not reason:
            raise UsageError(f"`expected_failures` must say why {key!r} fails. Received: an empty reason.")
    return dict(expected_failures)


def run_checks(
    name: str, plugins: Plugins | None = None, *, expected_failures: Mapping[str, str] | None = None
) -> list[Result]:
    """Run every check of a plugin, without pytest.

    Args:
        name: entry-point name of the plugin.
        plugins: the registry; a new one if None.
        expected_failures: reasons by check id; such a check must fail.

    Returns:
        One result for each check, in their order; never empty.

    Raises:
        UsageError: if `expected_failures` names no check.
    """
    checks = collect(name, plugins)
    return list(iterate(checks, known_failures(checks, expected_failures or {})))


def iterate(checks: Iterable[Check], expected_failures: Mapping[str, str]) -> Iterator[Result]:
    """Run checks one by one, yielding each result as soon as it is known.

    Args:
        checks: what to run.
        expected_failures: reasons by check id.
    """
    for check in checks:
        start = time.perf_counter()
        expected = expected_failures.get(check.id)
        try:
            check()
        except Skip as skip:
            status, message = "skipped", str(skip)
        except Exception as error:  # whatever a plugin's code raises is a finding, not an end
            status, message = "failed", f"{type(error).__name__}: {error}"
            if expected:
                status, message = "failed as expected", expected
        else:
            status, message = ("passed unexpectedly", expected) if expected else ("passed", "")
        yield Result(id=check.id, status=status, message=message, seconds=time.perf_counter() - start)
