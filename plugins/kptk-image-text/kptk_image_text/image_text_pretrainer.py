"""`ImageTextPretrainer`: what all objectives of pictures and texts share: projections, embeddings, and what a run keeps."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kptk.config import RunConfig
from kptk.data import Source
from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.run_parts import RunPart
from kptk.training.tensors import unit_length
from kptk.types import Tensor
from kptk_image_text.losses import same_texts, similarity
from kptk_image_text.parts import parts_of_run
from kptk_image_text.towers import Towers, find_towers


class ImageTextPretrainer(Pretrainer, abc.ABC):
    """Abstract objective on a dual encoder: the features of both sides are projected to vectors that can be compared.

    Args:
        backbone: a dual encoder.
        views: makes views of pairs, such as ``image_text_views``.
        projection_dim: length of the vectors that are compared.
        owner: name of the objective, for messages.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone is no dual encoder.
    """

    collapsed_spread = 0.02
    """Features of texts that are means of token vectors have much in common."""

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        projection_dim: int,
        owner: str,
        **kwargs: Any,
    ) -> None:
        towers = find_towers(backbone, owner)
        super().__init__(backbone, views, **kwargs)
        self.projection_dim = projection_dim
        self.image_projection = _projection(towers.dims[0], projection_dim, "image_projection")
        self.text_projection = _projection(towers.dims[1], projection_dim, "text_projection")
        self.recall = keras.metrics.Mean(name="batch_recall")
        self.repeated = keras.metrics.Mean(name="same_captions")

    @property
    def towers(self) -> Towers:
        """The networks of the two sides."""
        return find_towers(self.backbone, type(self).__name__)

    def image_embeddings(self, pixels: Tensor, training: bool = False) -> Tensor:
        """Unit vectors of pictures, to be compared with those of texts.

        Args:
            pixels: as the image encoder takes them, shape ``(batch, height, width, channels)``.
            training: whether batch statistics and dropout are on.
        """
        features = self.towers.encode_images(pixels, training)
        return unit_length(ops.cast(self.image_projection(features), "float32"))

    def text_embeddings(self, ids: Tensor, training: bool = False) -> Tensor:
        """Unit vectors of texts, to be compared with those of pictures.

        Args:
            ids: token numbers, shape ``(batch, length)``.
            training: whether dropout is on.
        """
        features = self.towers.encode_texts(ids, training)
        return unit_length(ops.cast(self.text_projection(features), "float32"))

    def embed_pair(self, rows: Tensor, training: bool) -> dict[str, Tensor]:
        """Embeddings of both sides of packed pairs, and which captions are the same.

        Args:
            rows: a view.
            training: whether batch statistics and dropout are on.
        """
        pixels, ids = self.towers.split(rows)
        image, text = self.image_embeddings(pixels, training), self.text_embeddings(ids, training)
        joint = ops.concatenate([image, text], axis=-1)
        return {"image": image, "text": text, "embeddings": joint, "same": same_texts(ids)}

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """How often a picture finds its text in the batch, and the share of rows whose caption another row has, too."""
        found = ops.argmax(similarity(y_pred["image"], y_pred["text"]), axis=-1)
        right = ops.equal(ops.cast(found, "int32"), ops.arange(ops.shape(found)[0], dtype="int32"))
        self.recall.update_state(ops.cast(right, "float32"))
        self.repeated.update_state(ops.cast(ops.any(y_pred["same"], axis=-1), "float32"))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def run_parts(self, config: RunConfig, source: Source) -> Mapping[str, RunPart]:
        """The encoder of pictures and the encoder of texts, each as a run of its own."""
        return parts_of_run(self, config, source)

    def get_config(self) -> dict[str, Any]:
        """Return the length of the vectors that are compared."""
        return {**super().get_config(), "projection_dim": self.projection_dim}


def _projection(dim: int, projection_dim: int, name: str) -> keras.layers.Dense:
    """A built linear map without bias; its vectors have length 1 on average, whatever the features' length."""
    initializer = keras.initializers.RandomNormal(stddev=dim**-0.5)
    layer = keras.layers.Dense(projection_dim, use_bias=False, kernel_initializer=initializer, name=name)
    layer.build((None, dim))
    return layer


def refuse_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise if an option has none of its values.

    Args:
        name: of the option.
        value: what was given.
        choices: what there is.

    Raises:
        UsageError: with all of them.
    """
    if value not in choices:
        raise UsageError(f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {value!r}.")
