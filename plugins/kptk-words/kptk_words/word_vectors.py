"""The backbone `word_vectors`: a table of vectors, one a word, and their mean over a text."""

from __future__ import annotations

import keras

from kptk.errors import UsageError
from kptk_words.vocabulary import FIRST


def word_vectors(input_shape: tuple[int, ...], *, vocabulary: int = 0, dim: int = 100) -> keras.Model:
    """A table from word numbers to vectors; a text is the mean of its words.

    Args:
        input_shape: ignored beyond its rank: texts may have any length.
        vocabulary: how many numbers there are, padding (0) included; `kptk train` sets it to what the preprocessor learned.
        dim: length of a vector.

    Returns:
        A model from word numbers, shape ``(batch, words)``, to vectors, shape ``(batch, dim)``. It starts as word2vec does,
        uniform in ``(-0.5, 0.5) / dim``.

    Raises:
        UsageError: if the vocabulary is not given.

    Example:
        >>> word_vectors((None,), vocabulary=1000).output_shape
        (None, 100)

    References:
        https://arxiv.org/abs/1301.3781
    """
    del input_shape
    if vocabulary < FIRST:
        raise UsageError(
            f"`vocabulary` must be the number of words, at least {FIRST}. Received: {vocabulary}. A preprocessor that has "
            "read the texts knows it: words.vocabulary_size"
        )
    ids = keras.Input((None,), dtype="int32", name="words")
    start = keras.initializers.RandomUniform(-0.5 / dim, 0.5 / dim)
    vectors = keras.layers.Embedding(vocabulary, dim, embeddings_initializer=start, mask_zero=True, name="vectors")(ids)
    return keras.Model(ids, keras.layers.GlobalAveragePooling1D(name="mean")(vectors), name="word_vectors")
