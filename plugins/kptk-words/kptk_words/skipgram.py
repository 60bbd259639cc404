"""Skip-gram with negative sampling: a word predicts each word around it."""

from __future__ import annotations

import keras
from keras import ops

from kptk.types import Tensor
from kptk_words.step_limit import scaled_gradient, share, terms_of
from kptk_words.windows import Groups
from kptk_words.word_pretrainer import WordPretrainer


@keras.saving.register_keras_serializable(package="kptk_words")
class SkipGram(WordPretrainer):
    """The vector of a word and the output vector of each word around it have a large product, drawn words a small one.

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
        >>> model = SkipGram(backbone, window=5, negatives=5)

    References:
        https://arxiv.org/abs/1310.4546
    """

    def scores(self, groups: Groups, drawn: Tensor) -> dict[str, Tensor]:
        """Products of every centre's vector with the output vectors of its group's context and of the drawn words."""
        pairs = groups.pairs  # (groups, centres, contexts)
        count = ops.sum(pairs, axis=2, keepdims=True)
        # A drawn word that is the very word to predict is left out, as in the C program.
        hits = ops.matmul(pairs, ops.cast(groups.context[:, :, None] == drawn[:, None, :], "float32"))
        negative = (count - hits) * (self.negatives / self.shared)
        inputs = ops.cast(ops.take(self.table.embeddings, groups.centre, axis=0), "float32")
        context = ops.cast(ops.take(self.output_vectors, groups.context, axis=0), "float32")
        noise = ops.cast(ops.take(self.output_vectors, drawn, axis=0), "float32")
        if self.step_limit:
            of_input = share(
                terms_of([(groups.centre, count[..., 0] * (1 + self.negatives))], self.words), self.step_limit
            )
            parts = [(groups.context, ops.sum(pairs, axis=1)), (drawn, ops.sum(negative, axis=1))]
            of_output = share(terms_of(parts, self.words), self.step_limit)
            inputs = scaled_gradient(inputs, ops.take(of_input, groups.centre)[..., None])
            context = scaled_gradient(context, ops.take(of_output, groups.context)[..., None])
            noise = scaled_gradient(noise, ops.take(of_output, drawn)[..., None])
        return {
            "positive_scores": ops.matmul(inputs, ops.swapaxes(context, 1, 2)),
            "positive": pairs,
            "negative_scores": ops.matmul(inputs, ops.swapaxes(noise, 1, 2)),
            "negative": negative,
        }
