"""SimMIM (Xie, Zhang, Cao, Lin, Bao, Yao, Dai and Hu, 2021)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import bad_value
from kptk.training.features import pooled
from kptk.training.patches import find_stages, patchify, unpatchify
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_masked.maps import last_map
from kptk_masked.masking import GREY, enlarged, explained, random_squares

SQUARES = 7
"""By default a side of the image is about this many masked squares: 32 of 224 pixels, as in the paper."""


def masked_absolute_error(prediction: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the hidden pixels.

    Args:
        prediction: shape ``(batch, height, width, channels)``.
        images: the same shape.
        mask: 1 for a hidden pixel, 0 for a visible one, shape ``(batch, height, width, 1)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2111.09886, equation 1
    """
    return _hidden_mean(ops.abs(prediction - images), mask)


def masked_squared_error(prediction: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of the hidden pixels; arguments as of `masked_absolute_error`.

    Args:
        prediction: shape ``(batch, height, width, channels)``.
        images: the same shape.
        mask: 1 for a hidden pixel, 0 for a visible one, shape ``(batch, height, width, 1)``.

    Returns:
        A scalar.

    References:
        https://arxiv.org/abs/2111.09886, table 5, where it does as well
    """
    return _hidden_mean(ops.square(prediction - images), mask)


def _hidden_mean(error: Tensor, mask: Tensor) -> Tensor:
    """Mean of the errors of the hidden pixels."""
    return ops.sum(error * mask) / (ops.sum(mask) * error.shape[-1])


def square_side(side: int, unit: int) -> int:
    """Side of a masked square: about a seventh of the image, a multiple of `unit`.

    Args:
        side: shorter side of the image in pixels.
        unit: pixels.

    Example:
        >>> square_side(224, 16), square_side(28, 4)
        (32, 4)
    """
    return max(round(side / SQUARES / unit), 1) * unit


@keras.saving.register_keras_serializable(package="kptk_masked")
class SimMIM(Pretrainer):
    """Hides squares of an image, shows the backbone the rest, and predicts the hidden pixels by one linear layer.

    How the squares are hidden depends on the backbone:

    - a patch backbone gets a learned token instead of each hidden patch, at the patch's position; the layer predicts each
      patch from its own encoded token;
    - any other gets a learned colour in their place. If its features are made of a feature map without further weights
      (by pooling), the layer predicts from each place of the map the pixels that it stands for. If weights come after the
      map, or there is none, it predicts the whole image from the feature vector.

    Args:
        backbone: any `keras.Model` from images to features.
        views: a preprocessor that makes one view of each example, as 0..1.
        mask_ratio: share of the image that is hidden, above 0 and below 1.
        mask_size: side of a hidden square in pixels; 0 for about a seventh of the image. For a patch backbone it must be a
            multiple of the patch.
        norm: ``"l1"`` for the absolute error of the paper, ``"l2"`` for the squared one. Where most pixels are background,
            the absolute error is least for an image of background alone, and a small network learns no more than that.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the squares do not fit the image or the patches.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("resnet18", input_shape=(28, 28, 1), width=8)
        >>> model = kptk.objective("simmim", backbone=backbone)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1)), batch_size=32, verbose=0)

    References:
        SimMIM: A Simple Framework for Masked Image Modeling, https://arxiv.org/abs/2111.09886
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        mask_ratio: float = 0.6,
        mask_size: int = 0,
        norm: str = "l1",
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.mask_ratio = mask_ratio
        self.mask_size = mask_size
        self.norm = norm
        height, width, channels = self.image_shape = tuple(backbone.input_shape[1:])
        found = find_stages(backbone)
        unit = found.patch if found else (4 if min(height, width) >= 16 else 1)
        self.square = mask_size or square_side(min(height, width), unit)
        self.cells = (-(-height // self.square), -(-width // self.square))
        if self.square % (found.patch if found else 1) or self.cells == (1, 1):
            rule = "smaller than the image" + (f" and a multiple of the patch, {found.patch} pixels" if found else "")
            raise bad_value("mask_size", rule, self.square)
        self.seed_generator = keras.random.SeedGenerator()
        # What follows is kept for pre-training only: downstream uses the backbone.
        small = keras.initializers.RandomNormal(stddev=0.02)
        grey = keras.initializers.Constant(GREY)
        if found:
            self.mask_token = self.add_weight(shape=(1, 1, found.width), initializer=small, name="mask_token")
            inputs, outputs = found.width, found.numbers
        else:
            self.mask_colour = self.add_weight(shape=(1, 1, 1, channels), initializer=grey, name="mask_colour")
            inputs, outputs = self._shape_of_head()
        self.to_pixels = keras.layers.Dense(outputs, name="to_pixels")
        self.to_pixels.build((None, inputs))
        self.explained = keras.metrics.Mean(name="explained")

    def _shape_of_head(self) -> tuple[int, int]:
        """Numbers in and out of the layer that predicts pixels, for a backbone without patches."""
        height, width, channels = self.image_shape
        to_map = last_map(self.backbone)
        if to_map is None:
            return self.feature_dim, height * width * channels
        rows, columns, features = to_map.output_shape[1:]
        return features, -(-height // rows) * -(-width // columns) * channels

    def draw_mask(self, batch: Tensor, seed: Any = None) -> Tensor:
        """Choose the pixels to hide.

        Args:
            batch: how many images.
            seed: of the choice; the model's own generator if None.

        Returns:
            1 for a hidden pixel, 0 for a visible one, shape ``(batch, height, width, 1)``.
        """
        cells = random_squares(self.seed_generator if seed is None else seed, batch, self.cells, self.mask_ratio)
        return ops.expand_dims(enlarged(cells, self.square, self.image_shape[:2]), -1)

    def predict_images(self, images: Tensor, mask: Tensor, training: bool) -> Tensor:
        """Predict whole images from their visible pixels.

        Args:
            images: shape ``(batch, height, width, channels)``.
            mask: 1 for a hidden pixel, shape ``(batch, height, width, 1)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Shape ``(batch, height, width, channels)``, float32.
        """
        found = find_stages(self.backbone)
        if found is not None:
            # The embedding of a patch of zeros is its position and what all such patches share; the learned token is added.
            hidden = patchify(mask, found.patch)[..., :1]  # (batch, count, 1)
            tokens = found.embed(patchify(images * (1 - mask), found.patch), training=training)
            zeros = ops.zeros_like(hidden[:, :1])
            hidden = ops.concatenate([*([zeros] * found.leading), hidden], axis=1)
            tokens = tokens + ops.cast(hidden, tokens.dtype) * ops.cast(self.mask_token, tokens.dtype)
            encoded = found.encoder(tokens, training=training)[:, found.leading :]
            return unpatchify(ops.cast(self.to_pixels(encoded), "float32"), found.grid, found.patch)
        shown = images * (1 - mask) + ops.cast(self.mask_colour, "float32") * mask
        height, width, channels = self.image_shape
        to_map = last_map(self.backbone)
        if to_map is None:
            pixels = self.to_pixels(pooled(self.backbone(shown, training=training)))
            return ops.cast(ops.reshape(pixels, (-1, height, width, channels)), "float32")
        pixels = ops.cast(self.to_pixels(to_map(shown, training=training)), "float32")
        _, rows, columns, _ = pixels.shape
        # Each place of the map stands for a block of pixels; what hangs over the edge is cut off.
        block = (-(-height // rows), -(-width // columns))
        pixels = ops.reshape(pixels, (-1, rows, columns, *block, channels))
        pixels = ops.reshape(
            ops.transpose(pixels, (0, 1, 3, 2, 4, 5)), (-1, rows * block[0], columns * block[1], channels)
        )
        return pixels[:, :height, :width]

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide squares and predict the image."""
        images = ops.cast(views[0], "float32")
        mask = self.draw_mask(ops.shape(images)[0])
        return {"prediction": self.predict_images(images, mask, training), "target": images, "mask": mask}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `masked_absolute_error` or `masked_squared_error`."""
        del labels
        formula = masked_squared_error if self.norm == "l2" else masked_absolute_error
        return formula(outputs["prediction"], outputs["target"], outputs["mask"])

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Keep account of how much of the hidden pixels is explained."""
        self.explained.update_state(explained(outputs["prediction"], outputs["target"], outputs["mask"]))

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Draw what was there, what the backbone saw, and what was predicted for the hidden squares."""
        images = ops.cast(views[0], "float32")
        mask = self.draw_mask(ops.shape(images)[0], seed=0)
        predicted = ops.clip(self.predict_images(images, mask, False), 0, 1)
        seen = images * (1 - mask)
        return {"original": images, "hidden": seen + GREY * mask, "filled in": seen + predicted * mask}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("mask_ratio", "mask_size", "norm")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
