"""`Reconstruction`: what all autoencoders share. The formulas are in the leaves."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import keras
from keras import ops

from kptk.errors import InputError, UsageError
from kptk.training.features import pooled
from kptk.training.image_quality import psnr, ssim
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_autoencoder.corruption import Seed
from kptk_autoencoder.decoder import decoder


def squared_error(raw: Tensor, targets: Tensor) -> Tensor:
    """``(x - x')²`` of each number, where `x'` is what the decoder gives.

    Args:
        raw: the decoder's output.
        targets: clean inputs of the same shape.
    """
    return ops.square(raw - targets)


def absolute_error(raw: Tensor, targets: Tensor) -> Tensor:
    """``|x - x'|`` of each number.

    Args:
        raw: the decoder's output.
        targets: clean inputs of the same shape.
    """
    return ops.abs(raw - targets)


def cross_entropy(raw: Tensor, targets: Tensor) -> Tensor:
    """``-x log x' - (1 - x) log(1 - x')`` of each number, with ``x' = sigmoid(raw)``.

    For targets between 0 and 1 its smallest value is their own entropy and not zero.

    Args:
        raw: the decoder's output, logits.
        targets: clean inputs of 0..1, of the same shape.
    """
    return ops.softplus(raw) - targets * raw


ERRORS = {"mse": squared_error, "l1": absolute_error, "cross_entropy": cross_entropy}


class Reconstruction(Pretrainer, abc.ABC):
    """Abstract pretrainer that makes images out of features, and logs how good they are.

    ``psnr`` and ``ssim`` compare the reconstruction with the clean image, over each epoch's training steps;
    ``psnr_input`` does it for what the backbone saw, where that was not the clean image: the figure to beat.

    Args:
        backbone: from images to a vector, map or sequence; a sequence is averaged to a vector.
        views: a preprocessor that makes one view of 0..1, or None.
        error: which of `ERRORS` the leaf uses; cross entropy puts a sigmoid behind the decoder.
        decoder_filters: width of the decoder at the image's own size.
        code_shape: shape of what is decoded; the backbone's features if None.
        **kwargs: passed to `keras.Model`.
    """

    shown_as: ClassVar[str] = ""
    """What to call the row of pictures that the backbone saw, empty if it sees the clean image."""

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None,
        *,
        error: str,
        decoder_filters: int,
        code_shape: tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.error = error
        self.decoder_filters = decoder_filters
        self.seed_generator = keras.random.SeedGenerator()
        shape = code_shape or feature_shape(backbone)
        self.decoder = decoder(shape, image_shape(backbone), filters=decoder_filters, name="decoder")
        names = ("psnr", "ssim", *(("psnr_input",) if self.shown_as else ()))
        self.trackers = [keras.metrics.Mean(name=name) for name in names]

    # What a leaf may write -------------------------------------------------------------------------------------------

    def spoil(self, images: Tensor, seed: Seed) -> Tensor:
        """What the backbone sees of clean images; here the images themselves.

        Args:
            images: shape ``(batch, height, width, channels)``, 0..1.
            seed: of whatever is drawn.
        """
        del seed
        return images

    def decode(self, features: Tensor, seed: Seed) -> dict[str, Tensor]:
        """From features to the decoder's output.

        Args:
            features: as `features` gives them.
            seed: of whatever is drawn.

        Returns:
            ``"raw"``, and what else the leaf's formula needs.
        """
        del seed
        return {"raw": self.decoder(features)}

    # What the base does ----------------------------------------------------------------------------------------------

    def features(self, images: Tensor, training: bool) -> Tensor:
        """A vector or map; a sequence is averaged."""
        features = self.backbone(images, training=training)
        return pooled(features) if len(features.shape) == 3 else features

    def reconstruct(self, inputs: Tensor, seed: Seed, training: bool) -> dict[str, Tensor]:
        """Encode and decode, in full precision at the end.

        Args:
            inputs: what `spoil` returned.
            seed: of whatever is drawn.
            training: whether batch statistics and dropout are on.
        """
        outputs = self.decode(self.features(inputs, training), seed)
        return {name: ops.cast(value, "float32") for name, value in outputs.items()}

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Spoil the only view, and draw it from its features."""
        targets = as_images(views[0])
        inputs = self.spoil(targets, self.seed_generator)
        outputs = self.reconstruct(inputs, self.seed_generator, training)
        return {**outputs, "targets": targets, **({"inputs": inputs} if self.shown_as else {})}

    def images(self, raw: Tensor) -> Tensor:
        """The picture of 0..1 that the decoder's output means.

        Args:
            raw: the decoder's output.
        """
        raw = ops.cast(raw, "float32")
        return ops.sigmoid(raw) if self.error == "cross_entropy" else ops.clip(raw, 0.0, 1.0)

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> dict[str, Tensor]:
        """Add this step to the figures."""
        targets = ops.clip(y_pred["targets"], 0.0, 1.0)
        made = self.images(y_pred["raw"])
        figures = [psnr(targets, made), ssim(targets, made)]
        if self.shown_as:
            figures.append(psnr(targets, ops.clip(y_pred["inputs"], 0.0, 1.0)))
        for tracker, values in zip(self.trackers, figures, strict=True):
            tracker.update_state(values)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Input, what the backbone saw of it, and reconstruction; the same each time, and without moving any state."""
        targets = as_images(views[0])
        inputs = self.spoil(targets, 0)
        made = self.images(self.reconstruct(inputs, 0, training=False)["raw"])
        seen = {self.shown_as: ops.clip(inputs, 0.0, 1.0)} if self.shown_as else {}
        return {"input": targets, **seen, "reconstruction": made}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that all leaves have."""
        return {**super().get_config(), "error": self.error, "decoder_filters": self.decoder_filters}


def as_images(view: Tensor) -> Tensor:
    """The view as float32, refused if it holds integers.

    Args:
        view: what the preprocessor made.

    Raises:
        InputError: if nothing scaled the images to 0..1.
    """
    dtype = keras.backend.standardize_dtype(view.dtype)
    if "float" not in dtype:
        raise InputError(
            f"an autoencoder reconstructs images of 0..1. Received: {dtype}. Scale them: name a preprocessor "
            "(--preprocessor plain_images, or views=kptk.preprocessor('plain_images')) or divide by 255."
        )
    return ops.cast(view, "float32")


def image_shape(backbone: keras.Model) -> tuple[int, ...]:
    """Shape of the images that a backbone takes.

    Args:
        backbone: the network.

    Raises:
        UsageError: if it does not take images of one fixed size.
    """
    shape = tuple(getattr(backbone, "input_shape", ()) or ())
    if len(shape) != 4 or None in shape[1:]:
        raise UsageError(
            f"`backbone` must take images of one size, (height, width, channels). Received: {backbone.name} with inputs "
            f"{shape or 'of unknown shape'}. Build it with a keras.Input of that shape."
        )
    return shape[1:]


def feature_shape(backbone: keras.Model) -> tuple[int, ...]:
    """Shape of what a backbone gives: ``(dim,)``, or ``(rows, columns, channels)`` for a map.

    Args:
        backbone: the network.
    """
    shape = tuple(backbone.output_shape[1:])
    return shape[-1:] if len(shape) == 2 else shape
