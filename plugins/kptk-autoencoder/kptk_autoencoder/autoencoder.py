"""The plain autoencoder."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_autoencoder.reconstruction import ERRORS, Reconstruction


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class Autoencoder(Reconstruction):
    """Features must hold enough of an image to draw it again.

    Args:
        backbone: from images to a vector, or to a map for a convolutional autoencoder.
        views: a preprocessor that makes one view.
        error: ``"mse"``, ``"l1"`` or ``"cross_entropy"`` (each pixel a probability), averaged over all numbers.
        decoder_filters: width of the decoder at the image's own size, at least 1.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("autoencoder", backbone=backbone)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)
        >>> sorted(history.history)
        ['loss', 'psnr', 'ssim']

    References:
        Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 313, 2006,
        https://doi.org/10.1126/science.1127647
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        error: str = "mse",
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, error=error, decoder_filters=decoder_filters, **kwargs)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Mean error of all numbers."""
        del labels
        return ops.mean(ERRORS[self.error](outputs["raw"], outputs["targets"]))
