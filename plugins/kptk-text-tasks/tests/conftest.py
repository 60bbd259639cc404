"""A small corpus, a vocabulary, and pre-trained runs on it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from text_task_helpers import sentences


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text_tasks")
    lines = [" ".join(words) for words, _ in sentences(120, 0)]
    (folder / "corpus.txt").write_text("\n".join([*lines, "Who lives in Paris ? Where was Anna born ?"]) + "\n")
    return folder


def _run(corpus: Path, plugin: str, length: int) -> Path:
    import kptk
    from kptk.training import backend

    backend.import_keras()
    out = corpus / plugin
    if not out.exists():
        kptk.train(
            plugin,
            data=str(corpus / "corpus.txt"),
            out=out,
            batch_size=16,
            epochs=1,
            seed=0,
            options={
                "probe.data": "",
                "backbone.layers": 1,
                "backbone.width": 16,
                "preprocessor.vocabulary": 120,
                "preprocessor.length": length,
            },
        )
    return out


@pytest.fixture(scope="session")
def masked_run(corpus) -> Path:
    """A tiny BERT after an epoch of masked words."""
    return _run(corpus, "mlm", 24)


@pytest.fixture(scope="session")
def causal_run(corpus) -> Path:
    """A tiny language model after an epoch."""
    return _run(corpus, "causal", 24)
