"""Models that count what a language model knows, and that write with it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.training.pieces import token_facts
from kptk.types import Tensor
from kptk_text_tasks.remembering import remembering_encoder
from kptk_text_tasks.token_losses import counts

NEVER = -1e9
"""Added to the logits of tokens that stand for no text."""


class Counter(keras.Model):
    """From rows to what `kptk_text_tasks.token_losses.counts` counts of the next tokens, in inference mode.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__(name=f"{whole.name}_counter")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Losses, tokens and right ones of each row, shape ``(batch, 3)``."""
        from kptk_text_tasks.generation import next_tokens

        ids = self.whole.task.input_targets(self.whole.prepare(inputs, False))
        return counts(next_tokens(ids), self.whole(inputs, training=False))


class Continuer(keras.Model):
    """From prompts to rows that go on with them, token by token.

    Keys and values of the tokens before are kept where the backbone's layers allow it, see `kptk.training.token_cache`; with
    other backbones each token takes a pass of the whole row through the network.

    Args:
        whole: the fine-tuned model.
        sampler: of `kptk_text_tasks.samplers.build_sampler`.
        keep: whether to keep keys and values where that is possible.
    """

    def __init__(self, whole: Any, sampler: Any, *, keep: bool = True) -> None:
        super().__init__(name=f"{whole.name}_writer")
        self.whole = whole
        self.sampler = sampler
        # Tracked by this model, so that a compiled step moves the random state.
        self.seeds = getattr(sampler, "seed_generator", None)
        found = token_facts(whole.preprocessor, whole.task.name)
        self.end = found.end
        banned = np.zeros(found.vocabulary, dtype="float32")
        banned[[number for number in found.specials if number != found.end]] = NEVER
        self._banned = banned
        self.kept = remembering_encoder(whole) if keep else None
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Token numbers: the prompt, and what was written behind it, shape ``(batch, length)``."""
        ids = self.whole.task.input_targets(self.whole.prepare(inputs, False))
        size = ops.sum(ops.cast(ops.not_equal(ids, 0), "int32"), axis=1)
        # Rows that only fill up a batch go on with its first prompt.
        ids = ops.where(ops.expand_dims(size > 0, 1), ids, ids[:1])
        there = ops.not_equal(ids, 0)
        index = ops.min(ops.sum(ops.cast(there, "int32"), axis=1))
        cache = None if self.kept is None else self.kept.fill(ids)
        return self.sampler(
            self._next, ids, cache=cache, index=index, mask=there, stop_token_ids=[self.end], model=self
        )

    def _next(self, prompt: Tensor, cache: Any, index: Tensor) -> tuple[Tensor, None, Any]:
        """Logits of the token at a place, from those before it."""
        if self.kept is not None:
            vectors, cache = self.kept.step(prompt, cache, index - 1)
        else:
            two = len(self.whole.task.row_shape) > 1
            rows = ops.stack([prompt, ops.zeros_like(prompt)], axis=1) if two else prompt
            vectors = ops.take(self.whole.encode(rows, False), index - 1, axis=1)
        logits = self.whole.task(vectors) + self._banned
        return ended(logits, prompt, self.end), None, cache


def ended(logits: Tensor, prompt: Tensor, end: int) -> Tensor:
    """Logits by which a text that has ended can only end again, so that its probability stays what it is in a beam.

    Args:
        logits: of the next token, shape ``(batch, vocabulary)``.
        prompt: token numbers, shape ``(batch, length)``.
        end: the token that ends a text.
    """
    done = ops.any(ops.equal(prompt, end), axis=1, keepdims=True)
    is_end = ops.equal(ops.arange(logits.shape[-1]), end)
    only_end = ops.where(is_end, ops.zeros_like(logits), ops.full_like(logits, NEVER))
    return ops.where(done, only_end, logits)
