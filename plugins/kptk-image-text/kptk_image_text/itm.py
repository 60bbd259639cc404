"""Image-text matching with hard negatives from the batch (ALBEF: Li and others, 2021)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_image_text.clip import STARTS
from kptk_image_text.image_text_pretrainer import ImageTextPretrainer, refuse_choice
from kptk_image_text.losses import FAR, clip_loss, matching_loss, similarity
from kptk_image_text.scale import LearnedScale

NEGATIVES = ("hard", "uniform")


def draw_negatives(logits: Tensor, same: Tensor, seed: Any) -> tuple[Tensor, Tensor]:
    """Draw a false partner for each row, with probability ``softmax(logits)`` over those that are false.

    Args:
        logits: how alike each row and each candidate are, shape ``(N, N)``; the right ones stand on the diagonal.
        same: candidates that are as right as the right one, shape ``(N, N)``.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        The number of the partner, shape ``(N,)``, and 1.0 where there is any false one, else 0.0.
    """
    count = ops.shape(logits)[0]
    right = ops.logical_or(same, ops.cast(ops.eye(count), "bool"))
    hidden = ops.where(right, ops.full_like(logits, -FAR), logits)
    drawn = keras.random.categorical(ops.stop_gradient(hidden), 1, dtype="int32", seed=seed)[:, 0]
    there = ops.logical_not(ops.all(right, axis=-1))
    return drawn, ops.cast(there, "float32")


@keras.saving.register_keras_serializable(package="kptk_image_text")
class ImageTextMatching(ImageTextPretrainer):
    """Tells whether a picture and a caption belong together, from both of their vectors in one small perceptron.

    Each pair of the batch comes with two false ones: its picture with another caption, and its caption with another picture,
    both drawn among the most alike. Next-sentence prediction is the same task with texts on both sides.

    Args:
        backbone: a dual encoder.
        views: makes views of pairs, such as ``image_text_views`` that is fitted.
        projection_dim: length of the vectors that are compared and fused, at least 2.
        hidden_dim: width of the hidden layer that fuses them.
        negatives: ``"hard"``, drawn by the softmax of the similarities, or ``"uniform"``, any of the batch.
        contrast: weight of the loss of CLIP beside it; 0 for matching alone.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone is no dual encoder.

    References:
        https://arxiv.org/abs/2107.07651, section 3.2; https://arxiv.org/abs/2201.12086
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        negatives: str = "hard",
        contrast: float = 1.0,
        **kwargs: Any,
    ) -> None:
        refuse_choice("negatives", negatives, NEGATIVES)
        super().__init__(backbone, views, projection_dim=projection_dim, owner="itm", **kwargs)
        self.hidden_dim = hidden_dim
        self.negatives = negatives
        self.contrast = contrast
        self.fusion = _fusion(4 * projection_dim, hidden_dim)
        self.learned_scale = LearnedScale(STARTS["clip"], name="learned_scale") if contrast else None
        self.seed_generator = keras.random.SeedGenerator()
        self.accuracy = keras.metrics.Mean(name="matching_accuracy")

    def match(self, image: Tensor, text: Tensor, training: bool = False) -> Tensor:
        """Logits of no and yes for pictures and texts, row by row.

        Args:
            image: unit vectors, shape ``(pairs, dim)``.
            text: unit vectors, shape ``(pairs, dim)``.
            training: whether this is a training step.

        Returns:
            Shape ``(pairs, 2)``.
        """
        # The numbers of unit vectors are small; a perceptron learns better from numbers of size 1.
        image, text = (vectors * self.projection_dim**0.5 for vectors in (image, text))
        fused = ops.concatenate([image, text, image * text, ops.abs(image - text)], axis=-1)
        return ops.cast(self.fusion(fused, training=training), "float32")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Embed both sides, draw false partners and match all three kinds of pairs."""
        outputs = self.embed_pair(views[0], training)
        image, text, same = outputs["image"], outputs["text"], outputs["same"]
        scale = self.learned_scale.factor() if self.learned_scale is not None else ops.convert_to_tensor(STARTS["clip"])
        alike = ops.cast(scale, "float32") * similarity(image, text)
        if self.negatives == "uniform":
            alike = ops.zeros_like(alike)
        texts, some_text = draw_negatives(alike, same, self.seed_generator)
        images, some_image = draw_negatives(ops.transpose(alike), same, self.seed_generator)
        logits = self.match(
            ops.concatenate([image, image, ops.take(image, images, axis=0)], axis=0),
            ops.concatenate([text, ops.take(text, texts, axis=0), text], axis=0),
            training,
        )
        yes, no = ops.ones_like(some_text), ops.zeros_like(some_text)
        weights = ops.concatenate([yes, some_text, some_image], axis=0)
        answers = ops.cast(ops.concatenate([yes, no, no], axis=0), "int32")
        return outputs | {"logits": logits, "answers": answers, "weights": weights, "scale": scale}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `matching_loss`, and `clip_loss` beside it."""
        del labels
        loss = matching_loss(outputs["logits"], outputs["answers"], outputs["weights"])
        if self.contrast:
            loss = loss + self.contrast * clip_loss(
                outputs["image"], outputs["text"], outputs["scale"], outputs["same"]
            )
        return loss

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often the answer is right; always no is right in two of three."""
        said = ops.cast(ops.argmax(y_pred["logits"], axis=-1), "int32")
        right = ops.cast(ops.equal(said, y_pred["answers"]), "float32")
        self.accuracy.update_state(right, sample_weight=y_pred["weights"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """That of a model that only knows that one pair in three is right: 0.637; and ``ln N`` of the contrast."""
        known = -(math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3)
        return known + self.contrast * math.log(batch_size)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        own = {"hidden_dim": self.hidden_dim, "negatives": self.negatives, "contrast": self.contrast}
        return {**super().get_config(), **own}


def _fusion(inputs: int, hidden: int) -> keras.Sequential:
    """A perceptron whose first answers are near "as likely as not": a confident wrong start is unlearned slowly."""
    last = keras.initializers.TruncatedNormal(stddev=0.02)
    layers = [
        keras.Input((inputs,)),
        keras.layers.Dense(hidden, activation="gelu"),
        keras.layers.Dense(2, kernel_initializer=last),
    ]
    return keras.Sequential(layers, name="fusion")
