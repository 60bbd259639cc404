"""ELECTRA (Clark, Luong, Le and Manning, 2020): find the tokens that a generator replaced."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import bad_value
from kptk.training.input_gradient import input_gradient
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.tokens import TokenStages, facts, stages
from kptk.types import Tensor
from kptk_language.generator import generator_encoder
from kptk_language.losses import binary_cross_entropy, token_cross_entropy
from kptk_language.masking import TokenMasking
from kptk_language.token_head import TokenHead, take_places, weighted_accuracy


def sample_tokens(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw a token from ``softmax(logits)``, by the largest of the logits plus Gumbel noise.

    Args:
        logits: shape ``(..., vocabulary)``.
        uniform: of 0..1, of the same shape.

    Returns:
        Token numbers, shape ``(...)``; no gradient flows through the choice.

    References:
        https://arxiv.org/abs/1611.01144, section 2.1
    """
    gumbel = -ops.log(-ops.log(ops.clip(uniform, 1e-9, 1.0 - 1e-7)))
    return ops.argmax(ops.stop_gradient(logits) + gumbel, axis=-1)


def put_tokens(ids: Tensor, places: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """The same rows with other tokens at some places.

    Args:
        ids: shape ``(batch, length)``.
        places: shape ``(batch, count)``, all different in a row.
        tokens: what stands there instead, shape ``(batch, count)``.
        weights: 0 where a place is to be left alone.
    """
    length = ids.shape[1]
    at = ops.equal(ops.expand_dims(places, -1), ops.reshape(ops.arange(length, dtype="int32"), (1, 1, -1)))
    at = ops.cast(ops.logical_and(at, ops.expand_dims(weights, -1) > 0), ids.dtype)  # (batch, count, length)
    new = ops.sum(at * ops.expand_dims(ops.cast(tokens, ids.dtype), -1), axis=1)
    return ops.where(ops.sum(at, axis=1) > 0, new, ids)


def perturbed(vectors: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    """Move each row's vectors against the model: by `epsilon` times their mean length, along the gradient.

    Args:
        vectors: shape ``(batch, length, width)``.
        gradient: of the loss with respect to them.
        epsilon: length of the step, as a share of the mean length of a vector.

    References:
        https://arxiv.org/abs/1605.07725, section 3
    """
    size = ops.sqrt(ops.mean(ops.sum(ops.square(vectors), axis=-1), axis=1))[:, None, None]
    norm = ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2), keepdims=True) + 1e-20)
    return vectors + ops.stop_gradient(epsilon * size * gradient / norm)


@keras.saving.register_keras_serializable(package="kptk_language")
class Electra(Pretrainer):
    """A small masked language model fills hidden places; the backbone tells for every token whether it was replaced.

    The generator learns by maximum likelihood and not against the backbone. Both share the table of tokens.

    Args:
        backbone: a token backbone, the discriminator, such as ``bert``.
        views: a preprocessor of texts that is fitted.
        rate: share of a row's tokens that the generator fills, above 0.
        generator_width: length of the generator's vectors; 0 for half of the backbone's.
        generator_depth: its layers.
        generator_heads: its attention heads; they must divide its width.
        discriminator_weight: weight of the backbone's loss, beside 1 for the generator's; 50 in the paper.
        epsilon: if above 0, the backbone also learns on token vectors that were moved against it, by this share of their mean
            length; costs another pass and a half.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the backbone has no token stages, or the generator's width does not fit its heads.

    References:
        https://arxiv.org/abs/2003.10555; perturbed vectors, https://arxiv.org/abs/1605.07725
    """

    collapsed_spread = 0.005

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        rate: float = 0.15,
        generator_width: int = 0,
        generator_depth: int = 1,
        generator_heads: int = 2,
        discriminator_weight: float = 50.0,
        epsilon: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        found = stages(backbone)
        inner = generator_width or max(found.width // 2 // generator_heads, 1) * generator_heads
        if inner % generator_heads:
            raise bad_value("generator_width", f"a multiple of the {generator_heads} generator_heads", generator_width)
        self.rate = rate
        self.generator_width, self.generator_depth, self.generator_heads = (
            generator_width,
            generator_depth,
            generator_heads,
        )
        self.discriminator_weight = discriminator_weight
        self.epsilon = epsilon
        # ELECTRA hides all chosen tokens: what it replaces them with is the generator's choice.
        self.masking = TokenMasking(
            facts(views, "electra"), found.length, rate=rate, hidden=1.0, replaced=0.0, name="masking"
        )
        self.generator = generator_encoder(
            found.width, found.length, inner=inner, heads=generator_heads, depth=generator_depth
        )
        self.generator_head = TokenHead(
            found.width, found.vocabulary, table_width=found.table_width, name="generator_head"
        )
        kernel = keras.initializers.TruncatedNormal(stddev=0.02)
        self.dense = keras.layers.Dense(found.width, activation="gelu", kernel_initializer=kernel, name="dense")
        self.dense.build((None, None, found.width))
        self.head = keras.layers.Dense(1, kernel_initializer=kernel, name="head")
        self.head.build((None, None, found.width))
        self.seed_generator = keras.random.SeedGenerator()
        self.accuracy = keras.metrics.Mean(name="generator_accuracy")
        self.recall = keras.metrics.Mean(name="found_replaced")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Fill hidden places by the generator, and look for what is not the original."""
        found = stages(self.backbone)
        ids = found.ids(views[0])
        masked = self.masking(ids)
        hidden = found.with_ids(views[0], masked["ids"])
        mask = found.mask(views[0])
        guesses = self.generator([found.embed(hidden, training=training), mask], training=training)
        logits = self.generator_head(take_places(guesses, masked["places"]), found.table.embeddings)
        noise = keras.random.uniform(ops.shape(logits), seed=self.seed_generator, dtype="float32")
        filled = put_tokens(ids, masked["places"], sample_tokens(logits, noise), masked["weights"])
        shown = found.with_ids(views[0], filled)
        replaced = ops.cast(ops.not_equal(filled, ids), "float32")
        outputs = {
            "generator": logits,
            "targets": masked["targets"],
            "weights": masked["weights"],
            "replaced": replaced,
            "mask": ops.cast(mask, "float32"),
        }
        vectors = found.embed(shown, training=training)
        outputs["logits"] = self._tell(found, vectors, mask, training)
        if self.epsilon and training:
            moved = self._against(found, vectors, mask, outputs)
            outputs["moved"] = self._tell(found, moved, mask, training)
        return outputs

    def _tell(self, found: TokenStages, vectors: Tensor, mask: Tensor, training: bool) -> Tensor:
        """Logits of "was replaced", shape ``(batch, length)``."""
        encoded = found.encoder([vectors, mask], training=training)
        return ops.cast(ops.squeeze(self.head(self.dense(encoded)), -1), "float32")

    def _against(self, found: TokenStages, vectors: Tensor, mask: Tensor, outputs: dict[str, Tensor]) -> Tensor:
        """Vectors moved to where the backbone's loss is higher."""

        def loss(moved: Tensor) -> Tensor:
            said = self._tell(found, moved, mask, False)
            return binary_cross_entropy(said, outputs["replaced"], outputs["mask"])

        return perturbed(vectors, input_gradient(loss, vectors, self), self.epsilon)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Add the generator's `token_cross_entropy` and the weighted `binary_cross_entropy`."""
        del labels
        generator = token_cross_entropy(outputs["generator"], outputs["targets"], outputs["weights"])
        own = binary_cross_entropy(outputs["logits"], outputs["replaced"], outputs["mask"])
        if "moved" in outputs:
            own = 0.5 * (own + binary_cross_entropy(outputs["moved"], outputs["replaced"], outputs["mask"]))
        return generator + self.discriminator_weight * own

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count right guesses of the generator, and the share of the replaced tokens that are found."""
        weighted_accuracy(self.accuracy, y_pred["generator"], y_pred["targets"], y_pred["weights"])
        self.recall.update_state(ops.cast(y_pred["logits"] > 0, "float32"), sample_weight=y_pred["replaced"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln V`` for the generator, and the weight times the entropy of "was replaced" for the backbone."""
        del batch_size
        share = self.rate
        entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share)) if 0 < share < 1 else 0.0
        return math.log(stages(self.backbone).vocabulary) + self.discriminator_weight * entropy

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "generator_width": self.generator_width,
            "generator_depth": self.generator_depth,
            "generator_heads": self.generator_heads,
            "discriminator_weight": self.discriminator_weight,
            "epsilon": self.epsilon,
        }
