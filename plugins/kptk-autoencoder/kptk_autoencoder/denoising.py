"""The denoising autoencoder (Vincent, Larochelle, Bengio and Manzagol, 2008)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_autoencoder.corruption import Seed, corrupt
from kptk_autoencoder.reconstruction import ERRORS, Reconstruction


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class Denoising(Reconstruction):
    """The backbone sees a spoilt image; its features must draw the clean one.

    Args:
        backbone: from images to a vector or a map.
        views: a preprocessor that makes one view.
        noise: ``"mask"`` sets pixels to 0, ``"gaussian"`` adds noise, ``"salt_pepper"`` sets pixels to 0 or 1.
        amount: the probability that a pixel is hit, or the standard deviation; above 0, at most 1.
        error: ``"mse"``, ``"l1"`` or ``"cross_entropy"`` against the clean image, averaged over all numbers.
        decoder_filters: width of the decoder at the image's own size, at least 1.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("conv_stack", input_shape=(28, 28, 1))
        >>> model = kptk.objective("denoising", backbone=backbone, noise="gaussian", amount=0.3)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        https://doi.org/10.1145/1390156.1390294; Vincent et al., Stacked Denoising Autoencoders, JMLR 11, 2010
    """

    shown_as = "corrupted"

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        noise: str = "mask",
        amount: float = 0.25,
        error: str = "mse",
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, error=error, decoder_filters=decoder_filters, **kwargs)
        self.noise = noise
        self.amount = amount

    def spoil(self, images: Tensor, seed: Seed) -> Tensor:
        """Apply `corrupt`."""
        return corrupt(images, self.noise, self.amount, seed)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Mean error against the clean images."""
        del labels
        return ops.mean(ERRORS[self.error](outputs["raw"], outputs["targets"]))

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "noise": self.noise, "amount": self.amount}
