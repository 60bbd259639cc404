"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends


NOT_RANDOM = "it is the preprocessor without randomness: every view is the image as it is"


@plugin_checks(
    "vision",
    expected_failures={
        "vision-preprocessor-plain_images-views_differ": NOT_RANDOM,
        "vision-preprocessor-plain_images-same_seed_same_views": NOT_RANDOM,
    },
)
def test_vision(check) -> None:
    check()
