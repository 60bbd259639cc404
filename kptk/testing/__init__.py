"""The conformance kit: what any plugin is tested with, in its own tests or by ``kptk plugins check --full``.

Nothing heavy is imported until a check runs.

Example:
    ```python
    from kptk.testing import plugin_checks


    @plugin_checks("contrastive")
    def test_contrastive(check):
        check()
    ```

References:
    ``docs/writing-a-plugin.md``
"""

from __future__ import annotations

from kptk.testing.checks import Check as Check
from kptk.testing.checks import Result as Result
from kptk.testing.checks import Skip as Skip
from kptk.testing.checks import Subject as Subject
from kptk.testing.checks import collect as collect
from kptk.testing.checks import run_checks as run_checks
from kptk.testing.parametrise import plugin_checks as plugin_checks
from kptk.testing.temporary import temporary_plugins as temporary_plugins

__all__ = [
    "Check",
    "Result",
    "Skip",
    "Subject",
    "collect",
    "plugin_checks",
    "run_checks",
    "temporary_plugins",
]
