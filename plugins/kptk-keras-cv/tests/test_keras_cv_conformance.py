"""The plugin keeps every rule of kptk."""

from __future__ import annotations

from kptk.testing import plugin_checks


@plugin_checks("keras_cv")
def test_keras_cv(check) -> None:
    check()
