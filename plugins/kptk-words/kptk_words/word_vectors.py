"""The backbone `word_vectors`: a table of vectors, one a word, and their mean over a text."""

from __future__ import annotations

import keras


def word_vectors(input_shape: tuple[int, ...], *, vocabulary_size: int, dim: int = 100) -> keras.Model:
    """A table from word numbers to vectors; a text is the mean of its words.

    Args:
        input_shape: ignored beyond its rank: texts may have any length.
        vocabulary_size: how many numbers there are, padding (0) included.
        dim: length of a vector.

    Returns:
        A model from word numbers, shape ``(batch, words)``, to vectors, shape ``(batch, dim)``. It starts as word2vec does, uniform
        in ``(-0.5, 0.5) / dim``.

    Example:
        >>> word_vectors((None,), vocabulary_size=1000).output_shape
        (None, 100)

    References:
        https://arxiv.org/abs/1301.3781
    """
    del input_shape
    ids = keras.Input((None,), dtype="int32", name="words")
    start = keras.initializers.RandomUniform(-0.5 / dim, 0.5 / dim)
    vectors = keras.layers.Embedding(
        vocabulary_size, dim, embeddings_initializer=start, mask_zero=True, name="vectors"
    )(ids)
    return keras.Model(ids, keras.layers.GlobalAveragePooling1D(name="mean")(vectors), name="word_vectors")
