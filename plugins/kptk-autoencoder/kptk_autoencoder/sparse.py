"""The k-sparse autoencoder (Makhzani and Frey, 2013)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_autoencoder.corruption import Seed
from kptk_autoencoder.reconstruction import ERRORS, Reconstruction


def keep_largest(features: Tensor, k: int) -> Tensor:
    """Keep the k largest numbers of each vector and set the others to 0; gradients reach only those kept.

    Numbers equal to the smallest one kept are kept too.

    Args:
        features: shape ``(..., dim)``.
        k: how many, from 1 to `dim`.

    Returns:
        The same shape.

    References:
        https://arxiv.org/abs/1312.5663, algorithm 1
    """
    smallest = ops.top_k(features, k)[0][..., -1:]
    return ops.where(features >= ops.stop_gradient(smallest), features, ops.zeros_like(features))


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class Sparse(Reconstruction):
    """Only the k largest features of each image, or of each place of a map, may be used to draw it again.

    The backbone itself stays as it is: downstream gets all its features, as the paper advises.

    Args:
        backbone: from images to a vector or a map.
        views: a preprocessor that makes one view.
        k: how many features are kept, from 1 to the length of the features.
        error: ``"mse"``, ``"l1"`` or ``"cross_entropy"``, averaged over all numbers.
        decoder_filters: width of the decoder at the image's own size, at least 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone has fewer than `k` features.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("mlp", input_shape=(28, 28, 1), units=512, depth=1)
        >>> model = kptk.objective("sparse", backbone=backbone, k=40)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        https://arxiv.org/abs/1312.5663
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        k: int = 25,
        error: str = "mse",
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, error=error, decoder_filters=decoder_filters, **kwargs)
        if k > self.feature_dim:
            raise UsageError(
                f"`k` must be at most the number of features, {self.feature_dim} in {backbone.name}. Received: {k}."
            )
        self.k = k

    def decode(self, features: Tensor, seed: Seed) -> dict[str, Tensor]:
        """Decode the largest features."""
        del seed
        return {"raw": self.decoder(keep_largest(features, self.k))}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Mean error of all numbers."""
        del labels
        return ops.mean(ERRORS[self.error](outputs["raw"], outputs["targets"]))

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "k": self.k}
