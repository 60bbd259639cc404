"""BERT's pre-training: masked tokens and next-sentence prediction in one step."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.tokens import stages
from kptk.types import Tensor
from kptk_language.losses import token_cross_entropy
from kptk_language.mlm import MLM
from kptk_language.nsp import pair_loss
from kptk_language.pair_answers import answers, refuse_no_pairs
from kptk_language.token_head import take_places


@keras.saving.register_keras_serializable(package="kptk_language")
class BERT(MLM):
    """Predicts hidden tokens, and whether the second segment follows the first; the two losses are added.

    Args:
        backbone: a token backbone with a channel of segments; BERT pools the first token (``pool="cls"``).
        views: a preprocessor that makes pairs.
        rate: share of a row's tokens that is predicted, above 0.
        hidden: share of these that becomes the mask.
        replaced: share that becomes any word of the vocabulary; the rest stays.
        whole_words: whether the pieces of a word are chosen together.
        pair_weight: weight of the loss of the pairs; 1 in BERT.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the preprocessor makes no pairs, or the backbone has no token stages.

    References:
        https://arxiv.org/abs/1810.04805, section 3.1 and appendix A.2
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        rate: float = 0.15,
        hidden: float = 0.8,
        replaced: float = 0.1,
        whole_words: bool = False,
        pair_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            backbone, views, rate=rate, hidden=hidden, replaced=replaced, whole_words=whole_words, **kwargs
        )
        refuse_no_pairs(views, "bert")
        self.pair_weight = pair_weight
        kernel = keras.initializers.TruncatedNormal(stddev=0.02)
        self.pair_head = keras.layers.Dense(2, kernel_initializer=kernel, name="pair_head")
        self.pair_head.build((None, self.feature_dim))
        self.pair_accuracy = keras.metrics.Mean(name="pair_accuracy")

    def call(self, inputs: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Run the backbone, and keep the answers beside what it says."""
        return {**super().call(inputs, training=training), "answer": answers(inputs)}

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide and encode, then predict tokens and pairs from the same vectors."""
        found = stages(self.backbone)
        masked = self.masking(found.ids(views[0]))
        seen = found.with_ids(views[0], masked["ids"])
        vectors = found.encode(seen, training)
        features = found.features(vectors, seen, training)
        return {
            "embeddings": ops.cast(features, "float32"),
            "logits": self.head(take_places(vectors, masked["places"]), found.table.embeddings),
            "targets": masked["targets"],
            "weights": masked["weights"],
            "pair_logits": ops.cast(self.pair_head(features), "float32"),
        }

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Add `token_cross_entropy` and `pair_loss`."""
        del labels
        tokens = token_cross_entropy(outputs["logits"], outputs["targets"], outputs["weights"])
        return tokens + self.pair_weight * pair_loss(outputs["pair_logits"], outputs["answer"])

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count right tokens and right pairs."""
        said = ops.cast(ops.argmax(y_pred["pair_logits"], axis=-1), "int32")
        self.pair_accuracy.update_state(ops.cast(ops.equal(said, ops.cast(y_pred["answer"], "int32")), "float32"))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln V + ln 2``."""
        del batch_size
        return math.log(stages(self.backbone).vocabulary) + self.pair_weight * math.log(2)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "pair_weight": self.pair_weight}
