"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends


@plugin_checks("text_tasks")
def test_text_tasks(check) -> None:
    check()
