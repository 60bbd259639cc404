"""`plugin_checks`: a plugin's checks as pytest parameters."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

from kptk.plugins import Plugins
from kptk.testing.checks import Check, Skip, Subject, collect, known_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def plugin_checks(name: str, expected_failures: Mapping[str, str] | None = None) -> Callable[[Any], Any]:
    """Parametrise a test with every check of a plugin.

    The test gets one argument, ``check``, and calls it. One parameter more, ``NAME-number_of_checks``, prints how
    many checks there are and fails if any offer has none: a plugin that is not found must not make its tests pass.

    Args:
        name: entry-point name of the plugin.
        expected_failures: the reason for each check, by id, that is known to fail. Such a test is a strict xfail:
            it fails as soon as the check passes.

    Returns:
        A decorator.

    Raises:
        UsageError: if `expected_failures` names no check of this plugin.

    Example:
        ```python
        @plugin_checks("contrastive")
        def test_contrastive(check):
            check()
        ```
    """
    import pytest

    plugins = Plugins()
    checks = collect(name, plugins)
    expected = known_failures(checks, expected_failures or {})
    parameters = [
        pytest.param(
            _Skipping(check),
            id=check.id,
            marks=pytest.mark.xfail(reason=expected[check.id], strict=True) if check.id in expected else (),
        )
        for check in checks
    ]
    count = functools.partial(_number_of_checks, name, checks)
    return pytest.mark.parametrize("check", [*parameters, pytest.param(count, id=f"{name}-number_of_checks")])


class _Skipping:
    """A check whose `Skip` is pytest's."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self) -> None:
        import pytest

        try:
            self._check()
        except Skip as skip:
            pytest.skip(str(skip))


def _number_of_checks(name: str, checks: list[Check]) -> None:
    """Print how many checks there are; fail if something that the plugin offers has none."""
    counts = Counter(check.subject.offer.id if check.subject.offer else "the plugin itself" for check in checks)
    print(f"{len(checks)} checks of plugin '{name}':")
    for what, count in counts.items():
        print(f"  {count} of {what}")
    subject: Subject = checks[0].subject
    unchecked = [offer.id for offer in subject.offers if not counts[offer.id]]
    assert not unchecked, f"no check looks at {', '.join(unchecked)}"
    assert subject.offers, f"plugin '{name}' offers nothing that could be checked"
