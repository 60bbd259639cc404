"""Super-resolution as a pretext: the backbone sees few pixels, its features must draw the fine image."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_autoencoder.corruption import Seed
from kptk_autoencoder.reconstruction import ERRORS, Reconstruction, image_shape


def area_weights(source: int, target: int) -> NDArray[np.float32]:
    """Weights that resample one axis by averaging over areas: each target pixel is the mean of what it covers.

    Towards fewer pixels this is area downsampling, towards more it repeats pixels.

    Args:
        source: pixels of the axis.
        target: pixels wanted.

    Returns:
        Rows that add up to 1, shape ``(target, source)``.

    Example:
        >>> area_weights(4, 2).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    edges = np.arange(target + 1) * (source / target)
    pixel = np.arange(source)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.maximum(covered, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


def coarsen(images: Tensor, factor: int) -> Tensor:
    """Shrink by area downsampling, then repeat pixels to the old size: the same sides with less in them.

    Args:
        images: shape ``(batch, height, width, channels)``.
        factor: how many times shorter each side gets in between; the size in between is rounded up.
    """
    matrices = []
    for side in images.shape[1:3]:
        small = -(-side // factor)
        matrices.append(ops.convert_to_tensor(area_weights(small, side) @ area_weights(side, small)))
    return ops.einsum("ih,bhwc,jw->bijc", matrices[0], images, matrices[1])


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class SuperResolution(Reconstruction):
    """From a coarse image to the fine one, by a sub-pixel decoder on the backbone's features.

    The image is shrunk by area downsampling; the backbone gets it with its pixels repeated, so that any backbone of a
    fixed size can be used. With `residual` the decoder only has to add what is missing, which draws far better images and
    asks less of the features.

    Args:
        backbone: from images to a vector or a map.
        views: a preprocessor that makes one view.
        factor: how many times shorter each side gets, at least 2.
        residual: whether the coarse image is added to the decoder's output.
        error: ``"mse"`` or ``"l1"``, averaged over all numbers.
        decoder_filters: width of the decoder at the image's own size, at least 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if `factor` leaves less than one pixel.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("conv_stack", input_shape=(28, 28, 1), depth=1)
        >>> model = kptk.objective("super_resolution", backbone=backbone, factor=2)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Sub-pixel convolution: https://arxiv.org/abs/1609.05158; residual: https://arxiv.org/abs/1511.04587
    """

    shown_as = "low resolution"

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        factor: int = 4,
        residual: bool = False,
        error: str = "mse",
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        smallest = min(image_shape(backbone)[:2])
        if factor > smallest:
            raise UsageError(f"`factor` must be at most the shorter side, {smallest} pixels. Received: {factor}.")
        super().__init__(backbone, views, error=error, decoder_filters=decoder_filters, **kwargs)
        self.factor = factor
        self.residual = residual

    def spoil(self, images: Tensor, seed: Seed) -> Tensor:
        """Apply `coarsen`."""
        del seed
        return coarsen(images, self.factor)

    def reconstruct(self, inputs: Tensor, seed: Seed, training: bool) -> dict[str, Tensor]:
        """Add the coarse image if asked for."""
        outputs = super().reconstruct(inputs, seed, training)
        return {"raw": outputs["raw"] + inputs} if self.residual else outputs

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Mean error against the fine images."""
        del labels
        return ops.mean(ERRORS[self.error](outputs["raw"], outputs["targets"]))

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "factor": self.factor, "residual": self.residual}
