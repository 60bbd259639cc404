"""The plugin keeps every rule of kptk."""

from __future__ import annotations

from kptk.testing import plugin_checks


@plugin_checks("keras_nlp")
def test_keras_nlp(check) -> None:
    check()
