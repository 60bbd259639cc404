"""Causal language modelling: each token from those before it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.tokens import sees_ahead, stages
from kptk.types import Tensor
from kptk_language.losses import next_token_loss
from kptk_language.token_head import TokenHead, weighted_accuracy


@keras.saving.register_keras_serializable(package="kptk_language")
class Causal(Pretrainer):
    """Predicts every token from those before it; the table of tokens is also that of the predictions.

    Args:
        backbone: a token backbone in which no token sees those behind it, such as ``causal_transformer``.
        views: a preprocessor of texts that is fitted.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone lets tokens see those behind them: it would only copy.

    References:
        https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
    """

    collapsed_spread = 0.005

    def __init__(self, backbone: keras.Model, views: Preprocessor | None = None, **kwargs: Any) -> None:
        super().__init__(backbone, views, **kwargs)
        found = stages(backbone)
        if sees_ahead(backbone):
            raise UsageError(
                f"`backbone` of causal must read from left to right. Received: '{backbone.name}', in which a token sees "
                "those behind it, so that the answer lies open. Use --backbone causal_transformer"
            )
        self.head = TokenHead(
            found.width, found.vocabulary, transform=False, table_width=found.table_width, name="head"
        )
        self.accuracy = keras.metrics.Mean(name="next_accuracy")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Logits of the token behind each."""
        found = stages(self.backbone)
        logits = self.head(found.encode(views[0], training), found.table.embeddings)
        return {"logits": logits, "ids": found.ids(views[0]), "mask": found.mask(views[0])}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `next_token_loss`."""
        del labels
        return next_token_loss(outputs["logits"], outputs["ids"], outputs["mask"])

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often the likeliest token is the next one."""
        weights = ops.cast(y_pred["mask"][:, 1:], "float32")
        weighted_accuracy(self.accuracy, y_pred["logits"][:, :-1], y_pred["ids"][:, 1:], weights)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln V``: every token of the vocabulary is as likely as any other."""
        del batch_size
        return math.log(stages(self.backbone).vocabulary)
