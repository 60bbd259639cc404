"""Text backbones: how an objective reaches their tokens, whoever made them, and what it has to know of the numbers.

A token backbone is a `keras.Model` from token numbers ``(batch, length)``, where 0 is padding, to features. Its input may have
a second channel, ``(batch, 2, length)``, which says of which segment each token is. Inside it has two models, and a third
unless its features are the tokens themselves:

- ``embed``, from its own input to vectors ``(batch, length, width)``, with an `Embedding` called ``token_embedding``.
- ``encoder``, from such vectors and a mask ``(batch, length)``, True at tokens, to as many vectors.
- ``pool``, from those vectors and the mask to features ``(batch, dim)``.

What the numbers mean is known by the preprocessor that made them: its attribute `tokens` is a `TokenFacts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.training.two_sides import both_sides
from kptk.types import Tensor

EMBED, ENCODER, POOL, TABLE = "embed", "encoder", "pool", "token_embedding"
"""Names of the models inside, and of the layer of `embed` that holds a vector for each token."""
PADDING = 0
"""The number of no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What the numbers of a vocabulary mean.

    Args:
        vocabulary: how many numbers there are.
        mask: the token that hides another.
        start: the token before every text.
        end: the token behind every text or segment.
        specials: numbers that stand for no piece of text, padding among them.
        continues: which numbers go on with the word before them, shape ``(vocabulary,)``.
    """

    vocabulary: int
    mask: int
    start: int
    end: int
    specials: tuple[int, ...]
    continues: NDArray[np.bool_] = field(compare=False, hash=False)

    @property
    def ordinary(self) -> NDArray[np.bool_]:
        """Which numbers are pieces of text, shape ``(vocabulary,)``."""
        allowed = np.ones(self.vocabulary, dtype=bool)
        allowed[list(self.specials)] = False
        return allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStages:
    """The stages of a token backbone. The models are the backbone's own, not copies.

    Args:
        embed: from token numbers to vectors.
        encoder: from vectors and a mask to vectors.
        pool: from vectors and the mask to features, or None if the vectors are the features.
        table: the vectors of the tokens.
        segments: whether the input has a second channel.
        length: tokens of a row.
        width: length of a vector.
    """

    embed: keras.Model
    encoder: keras.Model
    pool: keras.Model | None
    table: keras.layers.Embedding
    segments: bool
    length: int
    width: int

    @property
    def table_width(self) -> int:
        """Length of the vectors of the table, which some networks project to `width`."""
        return int(self.table.output_dim)

    @property
    def vocabulary(self) -> int:
        """How many tokens it has vectors for."""
        return int(self.table.input_dim)

    def ids(self, inputs: Tensor) -> Tensor:
        """The token numbers of the backbone's input, shape ``(batch, length)``.

        Args:
            inputs: as the backbone takes them.
        """
        return inputs[:, 0] if self.segments else inputs

    def with_ids(self, inputs: Tensor, ids: Tensor) -> Tensor:
        """The same input with other tokens.

        Args:
            inputs: as the backbone takes them.
            ids: shape ``(batch, length)``.
        """
        ids = ops.cast(ids, inputs.dtype)
        return ops.stack([ids, inputs[:, 1]], axis=1) if self.segments else ids

    def mask(self, inputs: Tensor) -> Tensor:
        """Where there are tokens, shape ``(batch, length)``.

        Args:
            inputs: as the backbone takes them.
        """
        return ops.not_equal(self.ids(inputs), PADDING)

    def encode(self, inputs: Tensor, training: bool = False) -> Tensor:
        """One vector for each token, shape ``(batch, length, width)``.

        Args:
            inputs: as the backbone takes them.
            training: whether dropout is on.
        """
        return self.encoder([self.embed(inputs, training=training), self.mask(inputs)], training=training)

    def features(self, vectors: Tensor, inputs: Tensor, training: bool = False) -> Tensor:
        """The features of the backbone, from the vectors of `encode`.

        Args:
            vectors: shape ``(batch, length, width)``.
            inputs: as the backbone takes them.
            training: whether dropout is on.
        """
        if self.pool is None:
            return masked_mean(vectors, self.mask(inputs))
        return self.pool([vectors, self.mask(inputs)], training=training)


def masked_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """Mean of the vectors of a row's tokens.

    Args:
        vectors: shape ``(batch, length, width)``.
        mask: True at tokens, shape ``(batch, length)``.

    Returns:
        Shape ``(batch, width)``; zeros for a row without tokens.
    """
    weights = ops.expand_dims(ops.cast(mask, vectors.dtype), -1)
    return ops.sum(vectors * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def find_stages(backbone: keras.Model) -> TokenStages | None:
    """Find the stages of a token backbone.

    Args:
        backbone: any model.

    Returns:
        The stages, or None if it is not made of them.
    """
    inside = {layer.name: layer for layer in getattr(backbone, "layers", []) if isinstance(layer, keras.Model)}
    if EMBED not in inside or ENCODER not in inside:
        return None
    table = next((layer for layer in inside[EMBED]._flatten_layers() if layer.name == TABLE), None)
    shape: Any = backbone.input_shape
    if table is None or not isinstance(shape, tuple) or len(shape) not in (2, 3) or (len(shape) == 3 and shape[1] != 2):
        return None
    return TokenStages(
        embed=inside[EMBED],
        encoder=inside[ENCODER],
        pool=inside.get(POOL),
        table=table,
        segments=len(shape) == 3,
        length=int(shape[-1]),
        width=int(inside[ENCODER].output_shape[-1]),
    )


def token_vectors(backbone: keras.Model) -> keras.Model | None:
    """The network of a token backbone from its inputs to a vector for each token, which shares its layers.

    Args:
        backbone: any model.

    Returns:
        A functional model with outputs ``(batch, length, width)``; None if the backbone is not made of the stages.
    """
    found = find_stages(backbone)
    if found is None:
        return None
    inputs = keras.Input(backbone.input_shape[1:], dtype="int32", name="inputs")
    ids = ops.take(inputs, 0, axis=1) if found.segments else inputs
    vectors = found.encoder([found.embed(inputs), ops.not_equal(ids, PADDING)])
    return keras.Model(inputs, vectors, name=f"{backbone.name}_tokens")


def network_for(task: Any, backbone: keras.Model) -> keras.Model:
    """What gives a task its features: the backbone, its vectors of the tokens for a sequence, or both sides of a pair.

    Args:
        task: the task, a `kptk.training.task.Task`.
        backbone: the pre-trained network.

    Raises:
        UsageError: if the task takes a sequence and the backbone has none.
    """
    if task.features == "pair":
        return both_sides(backbone)
    if task.features == "target":
        raise UsageError(f"task {task.name} writes texts, which takes a decoder. Use the strategy encoder_decoder.")
    if task.features != "sequence" or len(backbone.output_shape) == 3:
        return backbone
    network = token_vectors(backbone)
    if network is None:
        raise UsageError(
            f"task {task.name} needs a vector for each token, but {backbone.name} returns one for each row, of shape "
            f"{backbone.output_shape}. Use a Transformer, such as one trained with --backbone bert."
        )
    return network


def stages(backbone: keras.Model) -> TokenStages:
    """Return the stages of a token backbone.

    Args:
        backbone: the model.

    Raises:
        UsageError: if it is not made of them.
    """
    found = find_stages(backbone)
    if found is None:
        raise UsageError(
            f"`backbone` must work on tokens: hold the models '{EMBED}' and '{ENCODER}', see kptk.training.tokens. "
            f"Received: {type(backbone).__name__} '{backbone.name}'. Use a Transformer for text, such as --backbone bert."
        )
    return found


def sees_ahead(backbone: keras.Model) -> bool:
    """Whether a token's vector depends on those behind it; tried out on two rows that differ in their last token.

    Args:
        backbone: a token backbone.
    """
    found = stages(backbone)
    rows = np.full((2, found.length), 1, dtype="int32")
    rows[1, -1] = found.vocabulary - 1
    if found.vocabulary < 3 or found.length < 2:
        return False
    inputs = np.stack([rows, np.zeros_like(rows)], axis=1) if found.segments else rows
    vectors = ops.convert_to_numpy(found.encode(ops.convert_to_tensor(inputs), False))
    return bool(np.abs(vectors[0, :-1] - vectors[1, :-1]).max() > 1e-5)


def facts(views: Any, owner: str) -> TokenFacts:
    """What the tokens mean that a preprocessor makes.

    Args:
        views: a preprocessor that is fitted.
        owner: the objective that asks, for the message.

    Raises:
        UsageError: if it makes no tokens, or has learned no vocabulary yet.
    """
    found = getattr(views, "tokens", None)
    if not isinstance(found, TokenFacts):
        received = "None" if views is None else f"{type(views).__name__} without a vocabulary"
        raise UsageError(
            f"`views` of {owner} must be a preprocessor of texts that is fitted, which knows what the numbers mean. "
            f"Received: {received}. Make one: layer = kptk.preprocessor('text_tokens'); layer.fit(source)"
        )
    return found
