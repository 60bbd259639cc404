"""The two networks within a dual encoder, and how its input is taken apart for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from kptk.errors import UsageError
from kptk.training.backbones import feature_dim
from kptk.training.features import pooled
from kptk.types import Tensor
from kptk_image_text.packing import split

IMAGE, TEXT = "image_encoder", "text_encoder"
"""Names of the models inside of a dual encoder."""


@dataclass(frozen=True, slots=True)
class Towers:
    """The networks of a dual encoder: its own models, not copies.

    Args:
        image: from pictures to features.
        text: from token numbers to features.
    """

    image: keras.Model
    text: keras.Model

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a picture as the encoder takes it."""
        return tuple(int(size) for size in self.image.input_shape[1:])

    @property
    def dims(self) -> tuple[int, int]:
        """Lengths of the features of a picture and of a text."""
        return feature_dim(self.image), feature_dim(self.text)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures and token numbers of the dual encoder's input.

        Args:
            rows: shape ``(batch, numbers of a picture + tokens)``.
        """
        return split(rows, self.shape)

    def encode_images(self, pixels: Tensor, training: bool = False) -> Tensor:
        """Feature vectors of pictures, shape ``(batch, dim)``.

        Args:
            pixels: of 0..1, shape ``(batch, height, width, channels)``.
            training: whether batch statistics and dropout are on.
        """
        return pooled(self.image(pixels, training=training))

    def encode_texts(self, ids: Tensor, training: bool = False) -> Tensor:
        """Feature vectors of texts, shape ``(batch, dim)``.

        Args:
            ids: token numbers, shape ``(batch, length)``.
            training: whether dropout is on.
        """
        return pooled(self.text(ids, training=training))


def find_towers(backbone: Any, owner: str) -> Towers:
    """Find the two networks of a dual encoder.

    Args:
        backbone: a model.
        owner: the objective that asks, for the message.

    Raises:
        UsageError: if it is none.
    """
    inside = {layer.name: layer for layer in getattr(backbone, "layers", []) if isinstance(layer, keras.Model)}
    if IMAGE not in inside or TEXT not in inside:
        raise UsageError(
            f"`backbone` of {owner} must be a dual encoder, which holds the models '{IMAGE}' and '{TEXT}'. Received: "
            f"{type(backbone).__name__} '{getattr(backbone, 'name', '')}'. Build one: --backbone dual_encoder"
        )
    return Towers(inside[IMAGE], inside[TEXT])
