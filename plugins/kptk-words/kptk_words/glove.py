"""GloVe: products of vectors are the logarithms of how often words stand together."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_words.negative_sampling import summed
from kptk_words.tables import embedding_layer
from kptk_words.vocabulary import FIRST


def glove_weight(x: Tensor, x_max: float, alpha: float) -> Tensor:
    """Weight of a pair, ``min(1, (x / x_max) ** alpha)``.

    Args:
        x: how often it occurs, above 0.
        x_max: from here on the weight is 1.
        alpha: the exponent.

    References:
        https://aclanthology.org/D14-1162/, equation 9
    """
    return ops.minimum(1.0, ops.power(x / x_max, alpha))


def glove_cost(scores: Tensor, x: Tensor, x_max: float = 100.0, alpha: float = 0.75) -> Tensor:
    """Weighted square error of each pair, ``f(x) (w . c + b + b' - ln x) ** 2``; the paper's J is their sum.

    Args:
        scores: ``w . c + b + b'`` of each pair, shape ``(pairs,)``.
        x: how often it occurs, shape ``(pairs,)``.
        x_max: see `glove_weight`.
        alpha: see `glove_weight`.

    Returns:
        Shape ``(pairs,)``.

    Example:
        >>> round(float(glove_cost(ops.array([0.0]), ops.array([100.0]))[0]), 1)  # ln(100) squared
        21.2

    References:
        https://aclanthology.org/D14-1162/, equation 8
    """
    return glove_weight(x, x_max, alpha) * ops.square(scores - ops.log(x))


@keras.saving.register_keras_serializable(package="kptk_words")
class GloVe(Pretrainer):
    """A word vector, a context vector and a bias each, fitted to the table of pairs by AdaGrad.

    The loss is half the paper's J as a mean over pairs, as the authors' program prints it; the gradient is that of the sum.
    What a run keeps as vectors is the sum of word and context vectors, as in the paper.

    Args:
        backbone: a model with one `keras.layers.Embedding`, which gets the word vectors.
        views: the preprocessor, whose rows are word i, word j and their count.
        x_max: the count from which pairs weigh 1; the authors take 100 for billions of words and 10 for millions.
        alpha: exponent of the weight.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> backbone = kptk.backbone("word_vectors", input_shape=(256,), vocabulary=1000)
        >>> model = GloVe(backbone, x_max=10.0)

    References:
        https://aclanthology.org/D14-1162/
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        x_max: float = 10.0,
        alpha: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.x_max = x_max
        self.alpha = alpha
        self.table = embedding_layer(backbone)
        self.words, dim = int(self.table.input_dim), int(self.table.output_dim)
        start = keras.initializers.RandomUniform(-0.5 / dim, 0.5 / dim)
        self.contexts = self.add_weight((self.words, dim), initializer=start, name="contexts")
        self.word_bias = self.add_weight((self.words,), initializer="zeros", name="word_bias")
        self.context_bias = self.add_weight((self.words,), initializer="zeros", name="context_bias")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Score the pairs."""
        del training
        rows = ops.cast(views[0], "float32")
        i, j = (ops.cast(rows[:, side], "int32") for side in (0, 1))
        word, context = _rows(self.table.embeddings, i), _rows(self.contexts, j)
        product = ops.sum(ops.cast(word, "float32") * ops.cast(context, "float32"), axis=1)
        bias = _rows(self.word_bias, i) + _rows(self.context_bias, j)
        return {"scores": product + ops.cast(bias, "float32"), "counts": rows[:, 2]}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply the formula: half the mean, with the gradient of half the sum."""
        del labels
        cost = 0.5 * glove_cost(outputs["scores"], outputs["counts"], self.x_max, self.alpha)
        return summed(ops.sum(cost), ops.cast(ops.size(cost), "float32"))

    def health_inputs(self, rows: np.ndarray) -> np.ndarray:
        """Single words, the most frequent ones: it is their vectors that must not all be alike."""
        return np.arange(FIRST, min(self.words, FIRST + len(rows)), dtype=np.int32)[:, None]

    def final_backbone(self) -> keras.Model:
        """The backbone with the sum of word and context vectors in its table; training can still go on with this model."""
        made = keras.models.clone_model(self.backbone)
        made.set_weights(self.backbone.get_weights())
        embedding_layer(made).embeddings.assign_add(self.contexts)
        return made

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "x_max": self.x_max, "alpha": self.alpha}


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Look up rows, with a gradient that has each row once.

    TensorFlow's has a row as often as it was looked up, and AdaGrad would square its parts instead of their sum.
    """
    return ops.take(ops.multiply(table, 1.0), rows, axis=0)
