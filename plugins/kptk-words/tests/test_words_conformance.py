"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends
ZERO = (
    "the output vectors start at 0, as in word2vec, so the first step cannot move the word vectors; the second one does"
)


@plugin_checks(
    "words",
    {f"words-objective-{name}-gradient_reaches_every_trainable_weight": ZERO for name in ("skipgram", "cbow")},
)
def test_words(check) -> None:
    check()
