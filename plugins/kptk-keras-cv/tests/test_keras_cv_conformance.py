"""The plugin keeps every rule of kptk, but for what KerasCV cannot."""

from __future__ import annotations

import pytest

pytest.importorskip("keras_cv", reason="the environments of JAX and PyTorch leave the heavy plugins out")

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends

VIEWS = "keras_cv-preprocessor-cv_views"


@plugin_checks(
    "keras_cv",
    expected_failures={
        f"{VIEWS}-call_is_jittable": "KerasCV's layers loop over images in ways that XLA does not compile",
    },
)
def test_keras_cv(check) -> None:
    check()
