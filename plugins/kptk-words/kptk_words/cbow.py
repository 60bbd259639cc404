"""CBOW with negative sampling: the words around it predict a word."""

from __future__ import annotations

import keras
from keras import ops

from kptk.types import Tensor
from kptk_words.step_limit import scaled_gradient, share, terms_of
from kptk_words.windows import Groups
from kptk_words.word_pretrainer import WordPretrainer


@keras.saving.register_keras_serializable(package="kptk_words")
class CBOW(WordPretrainer):
    """The mean vector of the words around a word and its output vector have a large product, drawn words a small one.

    Each word of the context gets the whole gradient of the mean, not divided by their number, as in the C program and gensim.

    Args:
        backbone: a model with one `keras.layers.Embedding`, which gets the word vectors.
        views: what gives word numbers; its `counts` make the noise distribution. None for a uniform one.
        window: context words on each side at most; each centre draws its own, from 1.
        negatives: words drawn for each pair.
        power: exponent of the words' counts in the noise distribution.
        group: consecutive centres that share their negatives.
        shared: words that a group draws; each counts ``negatives / shared`` times for every pair.
        step_limit: terms of the loss up to which a word's steps add up in a batch; above, they are averaged down to so many.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> backbone = kptk.backbone("word_vectors", input_shape=(512,), vocabulary=1000)
        >>> model = CBOW(backbone, window=5, negatives=5)

    References:
        https://arxiv.org/abs/1301.3781
        https://arxiv.org/abs/1310.4546
    """

    def scores(self, groups: Groups, drawn: Tensor) -> dict[str, Tensor]:
        """Products of every centre's mean context with its output vector and with those of the drawn words."""
        count = ops.sum(groups.pairs, axis=2)  # (groups, centres)
        active = ops.cast(count > 0, "float32")
        misses = ops.cast(groups.centre[:, :, None] != drawn[:, None, :], "float32")
        negative = misses * active[..., None] * (self.negatives / self.shared)
        inputs = ops.cast(ops.take(self.table.embeddings, groups.context, axis=0), "float32")
        target = ops.cast(ops.take(self.output_vectors, groups.centre, axis=0), "float32")
        noise = ops.cast(ops.take(self.output_vectors, drawn, axis=0), "float32")
        if self.step_limit:
            terms = ops.sum(groups.pairs, axis=1) * (1 + self.negatives)
            of_input = share(terms_of([(groups.context, terms)], self.words), self.step_limit)
            parts = [(groups.centre, active), (drawn, ops.sum(negative, axis=1))]
            of_output = share(terms_of(parts, self.words), self.step_limit)
            inputs = scaled_gradient(inputs, ops.take(of_input, groups.context)[..., None])
            target = scaled_gradient(target, ops.take(of_output, groups.centre)[..., None])
            noise = scaled_gradient(noise, ops.take(of_output, drawn)[..., None])
        divisor = ops.maximum(count, 1.0)[..., None]
        mean = scaled_gradient(ops.matmul(groups.pairs, inputs) / divisor, divisor)
        return {
            "positive_scores": ops.sum(mean * target, axis=2),
            "positive": active,
            "negative_scores": ops.matmul(mean, ops.swapaxes(noise, 1, 2)),
            "negative": negative,
        }
