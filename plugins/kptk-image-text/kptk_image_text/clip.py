"""CLIP (Radford and others, 2021) and SigLIP (Zhai, Mustafa, Kolesnikov and Beyer, 2023)."""

from __future__ import annotations

import math
from typing import Any

import keras

from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_image_text.image_text_pretrainer import ImageTextPretrainer, refuse_choice
from kptk_image_text.losses import clip_loss, siglip_loss
from kptk_image_text.scale import LearnedScale

LOSSES = ("clip", "siglip")
SAME = ("negatives", "ignored")
STARTS = {"clip": 1 / 0.07, "siglip": 10.0}
SIGLIP_BIAS = -10.0


@keras.saving.register_keras_serializable(package="kptk_image_text")
class Clip(ImageTextPretrainer):
    """Each picture finds its caption among those of the batch, and each caption its picture.

    Args:
        backbone: a dual encoder.
        views: makes views of pairs, such as ``image_text_views`` that is fitted.
        loss: ``"clip"``, a softmax over the batch in both directions, or ``"siglip"``, a sigmoid for each picture with each
            caption.
        projection_dim: length of the vectors that are compared, at least 2.
        scale: first value of the learned factor of the cosines; 0 for the papers', 1 / 0.07 and 10. It stays below 100.
        same_captions: what captions are to each other that are the same: ``"negatives"`` as in the papers, or ``"ignored"``.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone is no dual encoder.

    Example:
        >>> import keras, kptk, numpy as np
        >>> from kptk_image_text.pair import pair_rows
        >>> images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3)).astype("uint8")
        >>> rows = pair_rows(images, [f"picture number {place}" for place in range(32)])
        >>> views = kptk.preprocessor("image_text_views", views=1, length=8, vocabulary=100)
        >>> views.fit(kptk.data.ArraySource(rows, inputs="image_text"))
        >>> backbone = kptk.backbone("dual_encoder", input_shape=views.view_shape(()), **views.backbone_options())
        >>> model = kptk.objective("clip", backbone=backbone, views=views)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(rows, batch_size=16, verbose=0)

    References:
        https://arxiv.org/abs/2103.00020; SigLIP: https://arxiv.org/abs/2303.15343
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        loss: str = "clip",
        projection_dim: int = 128,
        scale: float = 0.0,
        same_captions: str = "negatives",
        **kwargs: Any,
    ) -> None:
        refuse_choice("loss", loss, LOSSES)
        refuse_choice("same_captions", same_captions, SAME)
        super().__init__(backbone, views, projection_dim=projection_dim, owner="clip", **kwargs)
        self.formula = loss
        self.scale = scale
        self.same_captions = same_captions
        summand = SIGLIP_BIAS if loss == "siglip" else None
        self.learned_scale = LearnedScale(scale or STARTS[loss], summand, name="learned_scale")
        self.scale_now = keras.metrics.Mean(name="scale")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Embed the pictures and the captions."""
        return self.embed_pair(views[0], training) | {"scale": self.learned_scale.factor()}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `clip_loss` or `siglip_loss`."""
        del labels
        same = outputs["same"] if self.same_captions == "ignored" else None
        if self.formula == "siglip":
            assert self.learned_scale.bias is not None
            bias = keras.ops.convert_to_tensor(self.learned_scale.bias)
            return siglip_loss(outputs["image"], outputs["text"], outputs["scale"], bias, same)
        return clip_loss(outputs["image"], outputs["text"], outputs["scale"], same)

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Add the learned factor to the figures of the batch."""
        self.scale_now.update_state(y_pred["scale"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln N``; with the sigmoid that of a model that only knows that one in N is right."""
        if self.formula == "clip":
            return math.log(batch_size)
        wrong = (batch_size - 1) * math.log(batch_size / (batch_size - 1)) if batch_size > 1 else 0.0
        return math.log(batch_size) + wrong

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        own = {"loss": self.formula, "scale": self.scale, "same_captions": self.same_captions}
        return {**super().get_config(), **own}
