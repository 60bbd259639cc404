"""Masked autoencoder, MAE (He, Chen, Xie, Li, Dollár and Girshick, 2021)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import bad_value
from kptk.training.patches import patchify, sine_positions, stages, unpatchify
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.transformer import encoder
from kptk.types import Tensor
from kptk_masked.masking import GREY, Masking, explained, random_masking, take_tokens, visible_count

EPSILON = 1e-6


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each patch.

    Args:
        patches: shape ``(batch, count, numbers)``, at least 2 numbers.

    Returns:
        Two tensors of the shape ``(batch, count, 1)``.
    """
    numbers = patches.shape[-1]
    mean = ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.sum(ops.square(patches - mean), axis=-1, keepdims=True) / (numbers - 1)
    return mean, variance


def normalised(patches: Tensor) -> Tensor:
    """Patches of mean 0 and variance 1 each: ``(x - mean) / sqrt(variance + 1e-6)``.

    Args:
        patches: shape ``(batch, count, numbers)``.
    """
    mean, variance = patch_statistics(patches)
    return (patches - mean) / ops.sqrt(variance + EPSILON)


def masked_mean_squared_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of each patch, averaged over the hidden patches only.

    Args:
        prediction: shape ``(batch, count, numbers)``.
        target: the same shape.
        mask: 1 for a hidden patch, 0 for a visible one, shape ``(batch, count)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2111.06377, section 3, "Reconstruction target"
    """
    error = ops.mean(ops.square(prediction - target), axis=-1)  # (batch, count)
    return ops.sum(error * mask) / ops.sum(mask)


@keras.saving.register_keras_serializable(package="kptk_masked")
class MAE(Pretrainer):
    """Hides most patches of an image, encodes the others only, and paints the hidden ones from them.

    The encoder never sees a hidden patch, nor a token in its place, which saves most of its work. A small decoder gets the
    encoded tokens and one learned token, with positions, for every hidden patch. It is thrown away after training.

    Args:
        backbone: a patch backbone, see `kptk.training.patches`, such as ``vit_tiny``.
        views: a preprocessor that makes one view of each example, as 0..1.
        mask_ratio: share of the patches that is hidden, above 0 and below 1.
        norm_pix: whether each patch of the target is brought to mean 0 and variance 1.
        decoder_width: length of the decoder's tokens, a multiple of 4 and of its heads.
        decoder_depth: blocks of the decoder, at least 1.
        decoder_heads: attention heads of the decoder.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone does not work on patches, or has fewer than two of them.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("vit_tiny", input_shape=(28, 28, 1), depth=2, width=48)
        >>> model = kptk.objective("masked", backbone=backbone, decoder_width=32)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1)), batch_size=32, verbose=0)

    References:
        Masked Autoencoders Are Scalable Vision Learners, https://arxiv.org/abs/2111.06377
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        mask_ratio: float = 0.75,
        norm_pix: bool = True,
        decoder_width: int = 128,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        found = stages(backbone)
        if found.count < 2:
            raise bad_value("backbone", "a model of at least 2 patches", found.count, "Use a smaller patch.")
        if decoder_width % decoder_heads or decoder_width % 4:
            rule = f"a multiple of 4 and of the {decoder_heads} heads"
            raise bad_value("decoder_width", rule, decoder_width)
        self.mask_ratio = mask_ratio
        self.norm_pix = norm_pix
        self.decoder_width = decoder_width
        self.decoder_depth = decoder_depth
        self.decoder_heads = decoder_heads
        self.visible = visible_count(found.count, mask_ratio)
        self.seed_generator = keras.random.SeedGenerator()
        # What follows is kept for pre-training only: downstream uses the backbone.
        self.to_decoder = keras.layers.Dense(decoder_width, name="to_decoder")
        self.to_decoder.build((None, None, found.width))
        self.mask_token = self.add_weight(
            shape=(1, 1, decoder_width), initializer=keras.initializers.RandomNormal(stddev=0.02), name="mask_token"
        )
        self.decoder = encoder(decoder_width, depth=decoder_depth, heads=decoder_heads, name="decoder")
        self.to_pixels = keras.layers.Dense(found.numbers, name="to_pixels")
        self.to_pixels.build((None, None, decoder_width))
        self.explained = keras.metrics.Mean(name="explained")

    def draw_masking(self, batch: Tensor, seed: Any = None) -> Masking:
        """Choose what to hide.

        Args:
            batch: how many images.
            seed: of the choice; the model's own generator if None.
        """
        shape = (batch, stages(self.backbone).count)
        noise = keras.random.uniform(shape, seed=self.seed_generator if seed is None else seed, dtype="float32")
        return random_masking(noise, self.visible)

    def encode_visible(self, patches: Tensor, masking: Masking, training: bool) -> Tensor:
        """Encode the visible patches, and a class token if the backbone has one.

        Args:
            patches: shape ``(batch, count, numbers)``.
            masking: what is hidden.
            training: whether dropout is on.

        Returns:
            Shape ``(batch, leading + visible, width)``.
        """
        found = stages(self.backbone)
        tokens = found.embed(patches, training=training)
        kept = take_tokens(tokens[:, found.leading :], masking.keep)
        if found.leading:
            kept = ops.concatenate([tokens[:, : found.leading], kept], axis=1)
        return found.encoder(kept, training=training)

    def decode(self, encoded: Tensor, masking: Masking, training: bool) -> Tensor:
        """Predict all patches from the encoded visible ones.

        Args:
            encoded: shape ``(batch, leading + visible, width)``.
            masking: what is hidden.
            training: whether dropout is on.

        Returns:
            Shape ``(batch, count, numbers)``.
        """
        found = stages(self.backbone)
        tokens = self.to_decoder(encoded)
        first, kept = tokens[:, : found.leading], tokens[:, found.leading :]
        hidden = (ops.shape(kept)[0], found.count - self.visible, self.decoder_width)
        kept = ops.concatenate([kept, ops.broadcast_to(ops.cast(self.mask_token, kept.dtype), hidden)], axis=1)
        tokens = take_tokens(kept, masking.restore)  # (batch, count, width), in the image's order
        tokens = tokens + ops.cast(sine_positions(found.grid, self.decoder_width), tokens.dtype)
        if found.leading:
            tokens = ops.concatenate([first, tokens], axis=1)
        return self.to_pixels(self.decoder(tokens, training=training)[:, found.leading :])

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide, encode what is left, and decode."""
        patches = patchify(ops.cast(views[0], "float32"), stages(self.backbone).patch)
        masking = self.draw_masking(ops.shape(patches)[0])
        encoded = self.encode_visible(patches, masking, training)
        return {
            "prediction": ops.cast(self.decode(encoded, masking, training), "float32"),
            "target": normalised(patches) if self.norm_pix else patches,
            "mask": masking.mask,
        }

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `masked_mean_squared_error`."""
        del labels
        return masked_mean_squared_error(outputs["prediction"], outputs["target"], outputs["mask"])

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Keep account of how much of the hidden patches is explained."""
        mask = ops.expand_dims(outputs["mask"], -1)
        self.explained.update_state(explained(outputs["prediction"], outputs["target"], mask))

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Draw what was there, what the encoder saw, and what the decoder made of it.

        With `norm_pix` the model predicts each patch without its mean and contrast; these are then taken from the original.
        """
        found = stages(self.backbone)
        images = ops.cast(views[0], "float32")
        patches = patchify(images, found.patch)
        masking = self.draw_masking(ops.shape(patches)[0], seed=0)
        predicted = ops.cast(self.decode(self.encode_visible(patches, masking, False), masking, False), "float32")
        if self.norm_pix:
            mean, variance = patch_statistics(patches)
            predicted = predicted * ops.sqrt(variance + EPSILON) + mean
        mask = ops.expand_dims(masking.mask, -1)
        rows = {
            "hidden": patches * (1 - mask) + GREY * mask,
            "filled in": patches * (1 - mask) + ops.clip(predicted, 0, 1) * mask,
        }
        return {"original": images} | {name: unpatchify(row, found.grid, found.patch) for name, row in rows.items()}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "mask_ratio": self.mask_ratio,
            "norm_pix": self.norm_pix,
            "decoder_width": self.decoder_width,
            "decoder_depth": self.decoder_depth,
            "decoder_heads": self.decoder_heads,
        }
