"""SimCSE (Gao, Yao and Chen, 2021): a text agrees with itself under another dropout mask."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_language.losses import in_batch_ranking


@keras.saving.register_keras_serializable(package="kptk_language")
class SimCSE(Pretrainer):
    """Encodes each text twice; dropout makes the two differ. Each finds the other among those of the batch.

    Args:
        backbone: a text backbone with dropout, such as ``bert``.
        views: a preprocessor of texts that is fitted; sentences suit it (``examples="sentences"``).
        temperature: softmax temperature, above 0.
        projection: whether a dense layer with tanh stands between features and loss; it is thrown away afterwards.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone has no dropout: its two views would be the same.

    References:
        https://arxiv.org/abs/2104.08821, section 3
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.05,
        projection: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        rates = [float(getattr(layer, "rate", 0) or 0) for layer in backbone._flatten_layers()]
        rates += [float(getattr(layer, "dropout", 0) or 0) for layer in backbone._flatten_layers()]
        if not any(rates):
            raise UsageError(
                f"`backbone` of simcse must have dropout, which alone makes two views of a text. Received: "
                f"'{backbone.name}' without any. Build it with some: -o backbone.dropout=0.1"
            )
        self.temperature = temperature
        self.projection = projection
        if projection:
            kernel = keras.initializers.TruncatedNormal(stddev=0.02)
            self.projector = keras.layers.Dense(
                self.feature_dim, activation="tanh", kernel_initializer=kernel, name="projector"
            )
            self.projector.build((None, self.feature_dim))

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Encode the batch twice in one pass."""
        first, second = views[0], views[-1]
        features = self.encode(ops.concatenate([first, second], axis=0), training)
        if self.projection:
            features = self.projector(features)
        return {"embeddings": ops.cast(features, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `in_batch_ranking`."""
        del labels
        anchors, positives = ops.split(outputs["embeddings"], 2, axis=0)
        return in_batch_ranking(anchors, positives, self.temperature)

    def chance_loss(self, batch_size: int) -> float:
        """``ln N``: every text of the batch is as likely as the right one."""
        return math.log(batch_size)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "temperature": self.temperature, "projection": self.projection}
