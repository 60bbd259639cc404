"""Next-sentence prediction (BERT) and sentence order prediction (ALBERT)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.tokens import stages
from kptk.types import Tensor
from kptk_language.losses import token_cross_entropy
from kptk_language.pair_answers import answers, refuse_no_pairs


def pair_loss(logits: Tensor, answer: Tensor) -> Tensor:
    """Cross entropy of two classes: 0 for a true pair, 1 for a false or swapped one.

    Args:
        logits: shape ``(batch, 2)``.
        answer: shape ``(batch,)``.

    Returns:
        A scalar; ``ln 2`` where the logits say nothing.
    """
    return token_cross_entropy(logits, ops.cast(answer, "int32"), ops.ones_like(logits[:, 0]))


@keras.saving.register_keras_serializable(package="kptk_language")
class NSP(Pretrainer):
    """Tells whether the second segment follows the first in the text, or whether the two were swapped.

    Which of the two it learns is up to the preprocessor's `examples`: ``"next"`` or ``"order"``.

    Args:
        backbone: a token backbone with a channel of segments; BERT pools the first token (``pool="cls"``).
        views: a preprocessor that makes pairs.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the preprocessor makes no pairs.

    References:
        https://arxiv.org/abs/1810.04805, section 3.1; https://arxiv.org/abs/1909.11942, section 3.1
    """

    collapsed_spread = 0.005

    def __init__(self, backbone: keras.Model, views: Preprocessor | None = None, **kwargs: Any) -> None:
        super().__init__(backbone, views, **kwargs)
        refuse_no_pairs(views, "nsp")
        stages(backbone)
        self.head = keras.layers.Dense(
            2, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02), name="head"
        )
        self.head.build((None, self.feature_dim))
        self.accuracy = keras.metrics.Mean(name="pair_accuracy")

    def call(self, inputs: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Run the backbone, and keep the answers beside what it says."""
        return {**super().call(inputs, training=training), "answer": answers(inputs)}

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Classify the features of each pair."""
        features = self.encode(views[0], training)
        return {"embeddings": ops.cast(features, "float32"), "logits": ops.cast(self.head(features), "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `pair_loss`."""
        del labels
        return pair_loss(outputs["logits"], outputs["answer"])

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often the answer is right."""
        right = ops.equal(ops.cast(ops.argmax(y_pred["logits"], axis=-1), "int32"), ops.cast(y_pred["answer"], "int32"))
        self.accuracy.update_state(ops.cast(right, "float32"))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln 2``: a coin is thrown."""
        del batch_size
        return math.log(2)
