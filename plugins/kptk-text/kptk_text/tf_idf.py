"""TF-IDF of words: what a text says without any network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source
from kptk.training.prepared import raw_part
from kptk_text.token_store import batches_of_texts

MOST_WORDS = 5000
"""Words and pairs of words, the most frequent ones, so that the vectors fit into memory."""


def tf_idf(train: Source, source: Source, layer: Any) -> NDArray[Any]:
    """Frequencies of words and of pairs of words, those of few texts weighted more.

    Args:
        train: prepared training rows, whose words count.
        source: prepared rows.
        layer: the preprocessor, which decodes rows whose texts are gone.

    Returns:
        Shape ``(rows, at most 5,000)``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_WORDS, dtype=np.float32)
    vectors.fit(_texts(train, layer))
    return np.asarray(vectors.transform(_texts(source, layer)).toarray())


def _texts(source: Source, layer: Any) -> list[str]:
    raw = raw_part(source)
    if raw.row_shape == ():
        return [text for batch in batches_of_texts(raw) for text in batch]
    rows = source.read(np.arange(len(source)))
    return [layer.tokeniser.decode([int(n) for n in np.ravel(row[0] if row.ndim > 1 else row) if n]) for row in rows]
