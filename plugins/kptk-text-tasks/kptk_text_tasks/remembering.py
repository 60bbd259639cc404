"""Networks of texts that are written, token by token, with what is kept of the tokens before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from kptk.training.token_cache import Cache, at, fill, keeps, step
from kptk.training.tokens import TokenStages, find_stages
from kptk.types import Tensor

SAME, SAME_IN_HALF = 1e-4, 3e-2
"""Largest difference of a vector that was made of what is kept, as a share of the largest number in it; in half precision."""


class Remembering(Protocol):
    """What a writer asks for the vector of the next token."""

    def fill(self, ids: Tensor, *more: Tensor) -> Cache:
        """Read the beginnings of texts and keep what is needed of them.

        Args:
            ids: token numbers, 0 where nothing is written yet, shape ``(batch, length)``.
            *more: what else the network reads.
        """

    def step(self, ids: Tensor, cache: Cache, place: Tensor) -> tuple[Tensor, Cache]:
        """Read the token at a place.

        Args:
            ids: token numbers, shape ``(batch, length)``.
            cache: what was kept of the places before.
            place: a whole number.

        Returns:
            Its vector, shape ``(batch, width)``; and what is kept from now on.
        """


@dataclass(frozen=True, slots=True)
class RememberingEncoder:
    """A causal token backbone.

    Args:
        stages: of the backbone.
    """

    stages: TokenStages

    def _inputs(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        rows = ops.stack([ids, ops.zeros_like(ids)], axis=1) if self.stages.segments else ids
        return self.stages.embed(rows, training=False), self.stages.mask(rows)

    def fill(self, ids: Tensor, *more: Tensor) -> Cache:
        """Keep keys and values of every layer."""
        del more
        return fill(self.stages.encoder, list(self._inputs(ids)))

    def step(self, ids: Tensor, cache: Cache, place: Tensor) -> tuple[Tensor, Cache]:
        """The embeddings of a whole row are looked up, which costs little beside the layers."""
        vectors, mask = self._inputs(ids)
        made, cache = step(self.stages.encoder, [at(vectors, place), mask], cache, place)
        return made[:, 0], cache


@dataclass(frozen=True, slots=True)
class RememberingDecoder:
    """A decoder of `kptk.training.sequence_decoder`: keys and values of the text that is read are computed once.

    Args:
        decoder: from written token numbers, vectors of the text that is read and their mask to vectors.
    """

    decoder: Any

    def fill(self, ids: Tensor, *more: Tensor) -> Cache:
        """Keep keys and values of every layer, and the mask of the text that is read."""
        memory, mask = more
        return (*fill(self.decoder, [ids, memory, mask]), mask)

    def step(self, ids: Tensor, cache: Cache, place: Tensor) -> tuple[Tensor, Cache]:
        """The text that is read is not looked at again."""
        *kept, mask = cache
        width = int(self.decoder.output_shape[-1])
        nothing = ops.expand_dims(ops.zeros_like(mask, dtype="float32"), -1)
        nothing = ops.repeat(nothing, width, axis=-1)
        made, now = step(self.decoder, [ids, nothing, mask], tuple(kept), place)
        return made[:, 0], (*now, mask)


def remembering_encoder(whole: Any) -> RememberingEncoder | None:
    """What keeps keys and values of a language model, if its layers can be walked and the walk gives what the model gives.

    Args:
        whole: the fine-tuned model.

    Returns:
        None if every token takes a pass over the whole row.
    """
    found = find_stages(whole.backbone)
    if found is None or not keeps(found.encoder):
        return None
    ids = _tokens(found.vocabulary, found.length)
    rows = np.stack([ids, np.zeros_like(ids)], axis=1) if found.segments else ids
    kept = RememberingEncoder(found)
    return kept if _agrees(kept, ids, (), lambda: whole.encode(ops.convert_to_tensor(rows), False)) else None


def remembering_decoder(decoder: keras.Model, vocabulary: int) -> RememberingDecoder | None:
    """What keeps keys and values of a decoder, under the same conditions.

    Args:
        decoder: the model `DECODER`, see `kptk.training.sequence_decoder`.
        vocabulary: how many tokens it knows.

    Returns:
        None if every token takes a pass over the whole row.
    """
    if not keeps(decoder):
        return None
    (_, length), (_, read, width), _ = decoder.input_shape
    ids = _tokens(vocabulary, int(length))
    rng = np.random.default_rng(1)
    memory = ops.convert_to_tensor(rng.normal(size=(len(ids), read, width)).astype("float32"))
    mask = ops.convert_to_tensor(np.arange(read)[None] < np.array([[read], [max(1, read // 2)]]))
    kept = RememberingDecoder(decoder)
    plain = ops.convert_to_tensor(ids)
    return kept if _agrees(kept, ids, (memory, mask), lambda: decoder([plain, memory, mask], training=False)) else None


def _tokens(vocabulary: int, length: int) -> Any:
    """Two rows of random tokens, one of which ends before the other."""
    ids = np.random.default_rng(0).integers(1, max(vocabulary, 2), (2, length)).astype("int32")
    ids[1, max(2, length // 2) :] = 0
    return ids


def _agrees(kept: Remembering, ids: Any, more: tuple[Tensor, ...], plain: Callable[[], Tensor]) -> bool:
    """Try it out: the beginning is read at once, the rest token by token."""
    try:
        made = plain()
        same = SAME if keras.backend.standardize_dtype(made.dtype) == "float32" else SAME_IN_HALF
        wanted = ops.convert_to_numpy(ops.cast(made, "float32")).astype("float64")
        length = ids.shape[1]
        first = max(1, length // 4)
        cache = kept.fill(ops.convert_to_tensor(np.where(np.arange(length) < first, ids, 0)), *more)
        for place in range(first - 1, min(length, first + 4)):
            seen = ops.convert_to_tensor(np.where(np.arange(length) <= place, ids, 0))
            vectors, cache = kept.step(seen, cache, ops.convert_to_tensor(place, dtype="int32"))
            there = ids[:, place] > 0
            apart = np.abs(ops.convert_to_numpy(ops.cast(vectors, "float32")) - wanted[:, place])[there]
            if apart.max() > same * max(1.0, float(np.abs(wanted[:, place]).max())):
                return False
    except Exception:  # layers of other people decide what happens here; a whole pass always works
        return False
    return True
