"""Which tokens are hidden, and what stands in their place: drawn anew in each step, in the graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.training.tokens import TokenFacts
from kptk.types import Tensor


def corrupt(ids: Tensor, selected: Tensor, hide: Tensor, replace: Tensor, words: Tensor, mask: int) -> Tensor:
    """Put the mask in the place of selected tokens, or another word, or leave them.

    Args:
        ids: token numbers, of any shape.
        selected: True at tokens that are to be predicted.
        hide: True where a selected token becomes the mask (in BERT for 80 % of them).
        replace: True where one that does not becomes another word (for half of the rest).
        words: that other word.
        mask: number of the mask.

    Returns:
        The numbers that the model sees.

    References:
        https://arxiv.org/abs/1810.04805, section 3.1
    """
    seen = ops.where(ops.logical_and(selected, replace), words, ids)
    return ops.where(ops.logical_and(selected, hide), ops.cast(mask, ids.dtype), seen)


def choose(
    noise: Tensor, maskable: Tensor, rate: float, most: int, words: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Choose the places of a row that are to be predicted: ``max(1, round(rate * maskable))`` of them.

    Args:
        noise: uniform of 0..1, shape ``(batch, length)``.
        maskable: True at tokens that may be chosen.
        rate: share of them.
        most: places that are returned; the rest have the weight 0.
        words: the word of each token, numbered along the row, so that whole words are chosen; None for single tokens. Words
            that would go beyond the share are left out, unless that leaves none.

    Returns:
        Places and weights of 0 or 1, shape ``(batch, most)``.
    """
    if words is not None:
        noise = ops.take_along_axis(noise, words, axis=1)  # the tokens of a word share one draw
    scores = ops.where(maskable, noise, ops.cast(-1.0, noise.dtype))
    found, places = ops.top_k(scores, most)
    allowed = ops.sum(ops.cast(maskable, "float32"), axis=1, keepdims=True)
    wanted = ops.cast(ops.minimum(ops.maximum(ops.round(rate * allowed), 1.0), float(most)), "int32")
    chosen = ops.logical_and(ops.expand_dims(ops.arange(most, dtype="int32"), 0) < wanted, found >= 0)
    if words is not None:
        least = ops.take_along_axis(found, ops.maximum(wanted - 1, 0), axis=1)  # the lowest score that is chosen
        reach = ops.sum(ops.cast(scores >= least, "int32"), axis=1, keepdims=True)
        whole = ops.logical_and(chosen, ops.logical_or(found > least, reach <= wanted))
        none = ops.logical_not(ops.any(whole, axis=1, keepdims=True))
        chosen = ops.where(none, chosen, whole)
    return ops.cast(places, "int32"), ops.cast(chosen, "float32")


@keras.saving.register_keras_serializable(package="kptk_language")
class TokenMasking(keras.layers.Layer):
    """Draws what is hidden of each row, in every step anew.

    Args:
        facts: what the numbers mean.
        length: tokens of a row.
        rate: share of a row's tokens that is to be predicted; special tokens never are.
        hidden: share of these that becomes the mask.
        replaced: share that becomes a word of the vocabulary; the rest stays.
        whole_words: whether the pieces of a word are chosen together.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        facts: TokenFacts,
        length: int,
        *,
        rate: float = 0.15,
        hidden: float = 0.8,
        replaced: float = 0.1,
        whole_words: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask = facts.mask
        self.vocabulary = facts.vocabulary
        self.rate, self.hidden, self.replaced, self.whole_words = rate, hidden, replaced, whole_words
        self.most = max(1, round(rate * length))
        self.allowed = np.flatnonzero(~facts.ordinary).tolist()  # the special tokens, few
        self.continues = facts.continues.astype("int32")
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True

    def call(self, ids: Tensor) -> dict[str, Tensor]:
        """Hide some tokens.

        Args:
            ids: token numbers, shape ``(batch, length)``.

        Returns:
            ``ids``, what the model sees; ``places`` and ``targets`` of what is to be predicted, shape ``(batch, most)``, with
            ``weights`` of 0 where there is nothing.
        """
        shape = ops.shape(ids)
        maskable = ops.ones(shape, dtype="bool")
        for special in self.allowed:
            maskable = ops.logical_and(maskable, ops.not_equal(ids, special))
        words = None
        if self.whole_words:
            goes_on = ops.take(ops.convert_to_tensor(self.continues), ids, axis=0)
            words = ops.cumsum(1 - goes_on, axis=1) - 1
            words = ops.maximum(words, 0)  # a row may begin in the middle of a word
        noise = self._uniform(shape)
        places, weights = choose(noise, maskable, self.rate, self.most, words)
        targets = ops.take_along_axis(ids, places, axis=1)
        # The draw is over whole rows and not over the places alone: no backend has one scatter for all.
        selected = self._at(places, weights, shape[1])
        draw = self._uniform(shape)
        hide = draw < self.hidden
        replace = draw < self.hidden + self.replaced
        words_instead = ops.cast(ops.floor(self._uniform(shape) * self.vocabulary), ids.dtype)
        seen = corrupt(ids, selected, hide, replace, words_instead, self.mask)
        return {"ids": seen, "places": places, "targets": targets, "weights": weights}

    def _uniform(self, shape: Any) -> Tensor:
        return keras.random.uniform(shape, seed=self.seed_generator, dtype="float32")

    def _at(self, places: Tensor, weights: Tensor, length: Any) -> Tensor:
        """True at the places whose weight is 1, shape ``(batch, length)``."""
        at = ops.equal(ops.expand_dims(places, -1), ops.reshape(ops.arange(length, dtype="int32"), (1, 1, -1)))
        return ops.any(ops.logical_and(at, ops.expand_dims(weights, -1) > 0), axis=1)
