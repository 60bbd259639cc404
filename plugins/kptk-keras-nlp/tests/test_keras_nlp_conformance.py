"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

pytest.importorskip("keras_nlp", reason="the environments of JAX and PyTorch leave the heavy plugins out")

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends


@plugin_checks("keras_nlp")
def test_keras_nlp(check) -> None:
    check()
