"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends


@plugin_checks("image_text")
def test_image_text(check) -> None:
    check()
