"""The plugin keeps every rule of kptk; what a tracker does is tried where its package is installed."""

from __future__ import annotations

from kptk.testing import plugin_checks


@plugin_checks("trackers")
def test_trackers(check) -> None:
    check()
