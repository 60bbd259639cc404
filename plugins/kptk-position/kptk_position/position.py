"""Relative patch position (Doersch, Gupta and Efros, 2015)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor
from kptk_position.patches import NEIGHBOURS, cut, drop_colours, places, project_colours

SMALLEST = 3
"""Pixels of a patch's side below which there is nothing to see."""


def position_loss(logits: Tensor, position: Tensor) -> Tensor:
    """Cross entropy of the eight positions, the mean over the batch.

    Args:
        logits: shape ``(batch, 8)``.
        position: the right one, integers of 0..7, shape ``(batch,)``.

    Returns:
        A scalar; ``ln 8`` where all logits of an example are equal.

    References:
        https://arxiv.org/abs/1505.05192, section 3
    """
    log_probabilities = ops.log_softmax(logits, axis=-1)
    return -ops.mean(ops.take_along_axis(log_probabilities, position[:, None], axis=-1))


@keras.saving.register_keras_serializable(package="kptk_position")
class Position(Pretrainer):
    """Two patches of one image go through the backbone, and a head tells where the second lies beside the first.

    The patches are cut out of the first view and scaled to the backbone's input, so any image backbone will do. Three
    things keep the model from solving the task without looking at what is in them: a gap between the patches, a random
    shift, so that no line can simply be followed across, and colours that do not give away the lens.

    Args:
        backbone: a `keras.Model` from images of one fixed size to features.
        views: a preprocessor that makes the image, or None.
        patch: side of a patch, as a share of the image's sides, above 0 and at most 0.33.
        gap: room between two patches, as a share of the patch's side.
        jitter: largest shift of the second patch on each axis, as a share of the patch's side.
        colour: ``"project"`` takes the green-magenta axis out, ``"drop"`` keeps one random channel of each patch and
            fills the others with noise, ``"keep"`` changes nothing. Without effect on grey images.
        hidden_dim: width of the hidden layer of the head.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if three patches and their gaps do not fit side by side, a patch has fewer than three pixels a
            side, or the backbone does not take images of one size.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(32, 32, 3))
        >>> model = kptk.objective("position", backbone=backbone)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 32, 32, 3), "uint8"), batch_size=32, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']

    References:
        Unsupervised Visual Representation Learning by Context Prediction, https://arxiv.org/abs/1505.05192
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        patch: float = 0.22,
        gap: float = 0.5,
        jitter: float = 0.07,
        colour: str = "project",
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        _check(backbone, views, patch, gap, jitter)
        super().__init__(backbone, views, **kwargs)
        self.patch = patch
        self.gap = gap
        self.jitter = jitter
        self.colour = colour
        self.hidden_dim = hidden_dim
        self.seed_generator = keras.random.SeedGenerator()
        # Kept for pre-training only: downstream uses the backbone's output.
        self.head = mlp((hidden_dim, len(NEIGHBOURS)), 2 * self.feature_dim, batch_norm=False, name="head")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Cut both patches and encode them in one pass."""
        height, width = self.backbone.input_shape[1:3]
        centre, neighbour, position = self._patches(views[0], height, width)
        features = self.encode_views((centre, neighbour), training)
        pair = ops.concatenate(ops.split(features, 2, axis=0), axis=-1)  # (batch, 2 * dim)
        return {
            "embeddings": ops.cast(features, "float32"),
            "logits": ops.cast(self.head(pair, training=training), "float32"),
            "position": position,
        }

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `position_loss`."""
        del labels
        return position_loss(outputs["logits"], outputs["position"])

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how many positions were told rightly."""
        self.accuracy.update_state(y_pred["position"], y_pred["logits"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln 8``: every position is as likely as the right one."""
        del batch_size
        return math.log(len(NEIGHBOURS))

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The image, and both patches as the backbone sees them, at the size of the image."""
        height, width = views[0].shape[1:3]
        centre, neighbour, _ = self._patches(views[0], height, width)
        return {"image": views[0], "first patch": centre, "second patch": neighbour}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("patch", "gap", "jitter", "colour", "hidden_dim")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _patches(self, images: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Centre patches, their neighbours, and where these are."""
        images = ops.cast(images, "float32")
        draws = keras.random.uniform((ops.shape(images)[0], 7), seed=self.seed_generator)
        centre, neighbour, position = places(draws[:, :5], self.patch, self.gap, self.jitter)
        made = [
            self._recoloured(cut(images, corner, self.patch, height, width), draws[:, 5 + index])
            for index, corner in enumerate((centre, neighbour))
        ]
        return made[0], made[1], position

    def _recoloured(self, patches: Tensor, which: Tensor) -> Tensor:
        if self.colour == "keep" or patches.shape[-1] != 3:
            return patches
        if self.colour == "project":
            return ops.clip(project_colours(patches), 0.0, 1.0)
        noise = keras.random.normal(ops.shape(patches), seed=self.seed_generator)
        return ops.clip(drop_colours(patches, which, noise), 0.0, 1.0)


def _check(backbone: keras.Model, views: Preprocessor | None, patch: float, gap: float, jitter: float) -> None:
    """Refuse what cannot be cut."""
    shape = tuple(backbone.input_shape)
    if len(shape) != 4 or None in shape[1:]:
        raise UsageError(
            f"`backbone` must take images of one size, (height, width, channels). Received: {shape[1:]}. Build it with "
            "an input_shape."
        )
    needed = patch * (3 + 2 * gap + 2 * jitter)
    if needed > 1:
        raise UsageError(
            f"three patches of {patch:g} with gap {gap:g} and jitter {jitter:g} need {needed:.2f} of the image's side. "
            f"Use -o objective.patch={math.floor(100 / (3 + 2 * gap + 2 * jitter)) / 100:g} or less, or a smaller gap."
        )
    # What makes the views either says their size or leaves the images as large as the backbone takes them.
    side = int(getattr(views, "size", 0)) or min(shape[1:3])
    if patch * side < SMALLEST:
        raise UsageError(
            f"a patch of {patch:g} of {side} pixels has fewer than {SMALLEST} pixels a side. Use larger images "
            "(-o preprocessor.size=) or larger patches (-o objective.patch=, with a smaller gap if need be)."
        )
