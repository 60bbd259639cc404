"""Models that count what an encoder-decoder knows of targets, and that write with it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.training.pieces import token_facts
from kptk.training.sequence_decoder import DECODER, READER
from kptk.types import Tensor
from kptk_text_tasks.remembering import remembering_decoder
from kptk_text_tasks.token_losses import NO_TOKEN, counts
from kptk_text_tasks.writer import NEVER, ended


class TargetCounter(keras.Model):
    """From rows to what `kptk_text_tasks.token_losses.counts` counts of their targets, in inference mode.

    Args:
        whole: the fine-tuned model.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__(name=f"{whole.name}_counter")
        self.whole = whole
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Losses, tokens and right ones of each row, shape ``(batch, 3)``."""
        wanted = ops.cast(inputs, "int32")[:, -self.whole.task.target_length :]
        wanted = ops.where(ops.equal(wanted, 0), ops.full_like(wanted, NO_TOKEN), wanted)
        return counts(wanted, self.whole(inputs, training=False))


class Translator(keras.Model):
    """From rows to the texts that are written of them, token by token; the text is read once.

    Keys and values of both texts are kept, see `kptk.training.token_cache`.

    Args:
        whole: the fine-tuned model, of the strategy ``encoder_decoder``.
        sampler: of `kptk_text_tasks.samplers.build_sampler`.
        keep: whether to keep keys and values.
    """

    def __init__(self, whole: Any, sampler: Any, *, keep: bool = True) -> None:
        super().__init__(name=f"{whole.name}_translator")
        self.whole = whole
        self.sampler = sampler
        self.reader, self.decoder = whole.network.get_layer(READER), whole.network.get_layer(DECODER)
        found = token_facts(whole.preprocessor, whole.task.name)
        self.start, self.end = found.start, found.end
        banned = np.zeros(found.vocabulary, dtype="float32")
        banned[[number for number in found.specials if number != found.end]] = NEVER
        self._banned = banned
        self.kept = remembering_decoder(self.decoder, found.vocabulary) if keep else None
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Token numbers behind the start token, shape ``(batch, target_length - 1)``."""
        length = self.whole.task.target_length
        read = ops.cast(self.whole.prepare(inputs, False), "int32")[:, : -length - 1]
        first = ops.full_like(read[:, :1], self.start)
        prompt = ops.concatenate([first, ops.zeros_like(ops.repeat(first, length - 1, axis=1))], axis=1)
        memory = (self.reader(read, training=False), ops.not_equal(read, 0))
        cache = memory if self.kept is None else self.kept.fill(prompt, *memory)
        there = ops.not_equal(prompt, 0)
        rows = self.sampler(self._next, prompt, cache=cache, index=1, mask=there, stop_token_ids=[self.end], model=self)
        return rows[:, 1:]

    def _next(self, prompt: Tensor, cache: Any, index: Tensor) -> tuple[Tensor, None, Any]:
        """Logits of the token at a place, from the text and the tokens before it."""
        if self.kept is not None:
            vectors, cache = self.kept.step(prompt, cache, index - 1)
        else:
            vectors = ops.take(self.decoder([prompt, *cache], training=False), index - 1, axis=1)
        logits = self.whole.task(vectors) + self._banned
        return ended(logits, prompt, self.end), None, cache
