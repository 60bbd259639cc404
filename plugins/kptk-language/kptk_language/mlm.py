"""Masked language modelling (Devlin, Chang, Lee and Toutanova, 2019), with masks drawn anew in each step (RoBERTa)."""

from __future__ import annotations

import math
from typing import Any

import keras

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.tokens import facts, stages
from kptk.types import Tensor
from kptk_language.losses import token_cross_entropy
from kptk_language.masking import TokenMasking
from kptk_language.token_head import TokenHead, take_places, weighted_accuracy


@keras.saving.register_keras_serializable(package="kptk_language")
class MLM(Pretrainer):
    """Hides some tokens of a text and predicts them from the others.

    Of each row `rate` of the tokens are chosen. Most of them become the mask, some another word, some stay, so that the model
    cannot trust a word that it sees. Logits are computed for the chosen places alone.

    Args:
        backbone: a token backbone, see `kptk.training.tokens`, such as ``bert``.
        views: a preprocessor of texts that is fitted, such as ``text_tokens``.
        rate: share of a row's tokens that is predicted, above 0.
        hidden: share of these that becomes the mask.
        replaced: share that becomes any word of the vocabulary; the rest stays.
        whole_words: whether the pieces of a word are chosen together.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone has no token stages, or the preprocessor no vocabulary.

    Example:
        >>> import keras, kptk, numpy as np
        >>> texts = ["the cat sat on the mat", "the dog sat on the log"] * 16
        >>> layer = kptk.preprocessor("text_tokens", views=1, vocabulary=60, length=16, examples="texts")
        >>> layer.fit(kptk.data.ArraySource(np.array(texts, dtype=object), inputs="text"))
        >>> backbone = kptk.backbone("bert", input_shape=(16,), vocabulary=layer.tokens.vocabulary, width=16)
        >>> model = kptk.objective("mlm", backbone=backbone, views=layer)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(texts, batch_size=16, verbose=0)

    References:
        https://arxiv.org/abs/1810.04805, section 3.1; https://arxiv.org/abs/1907.11692, section 4.1
    """

    collapsed_spread = 0.005

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        rate: float = 0.15,
        hidden: float = 0.8,
        replaced: float = 0.1,
        whole_words: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        found = stages(backbone)
        self.rate, self.hidden, self.replaced, self.whole_words = rate, hidden, replaced, whole_words
        self.masking = TokenMasking(
            facts(views, "mlm"),
            found.length,
            rate=rate,
            hidden=hidden,
            replaced=replaced,
            whole_words=whole_words,
            name="masking",
        )
        # Kept for pre-training only: downstream uses the backbone.
        self.head = TokenHead(found.width, found.vocabulary, table_width=found.table_width, name="head")
        self.accuracy = keras.metrics.Mean(name="masked_accuracy")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide, encode, and predict what is hidden."""
        found = stages(self.backbone)
        masked = self.masking(found.ids(views[0]))
        vectors = found.encode(found.with_ids(views[0], masked["ids"]), training)
        logits = self.head(take_places(vectors, masked["places"]), found.table.embeddings)
        return {"logits": logits, **{key: masked[key] for key in ("targets", "weights", "places")}}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `token_cross_entropy`."""
        del labels
        return token_cross_entropy(outputs["logits"], outputs["targets"], outputs["weights"])

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often the likeliest token is the hidden one."""
        weighted_accuracy(self.accuracy, y_pred["logits"], y_pred["targets"], y_pred["weights"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float | None:
        """``ln V``: every token of the vocabulary is as likely as any other."""
        del batch_size
        return math.log(stages(self.backbone).vocabulary)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "hidden": self.hidden,
            "replaced": self.replaced,
            "whole_words": self.whole_words,
        }
