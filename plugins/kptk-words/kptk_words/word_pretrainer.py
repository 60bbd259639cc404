"""`WordPretrainer`: what skip-gram and CBOW have in common."""

from __future__ import annotations

import abc
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_words.negative_sampling import draw, negative_sampling_loss, noise_distribution, summed
from kptk_words.tables import embedding_layer
from kptk_words.vocabulary import FIRST
from kptk_words.windows import Groups, make_groups


class WordPretrainer(Pretrainer, abc.ABC):
    """Word vectors by negative sampling, a block of words at a time.

    Words are worked on in groups of `group` consecutive centres. Each group draws `shared` words as negatives for all of its
    centres; each of them counts ``negatives / shared`` times for every pair, so that the expected loss is that of `negatives` own
    draws a pair. The step of a batch is the sum of its pairs' steps, as if they were made one by one with a learning rate each,
    except for words with more than `step_limit` terms in the batch.

    Args:
        backbone: a model with one `keras.layers.Embedding`, which gets the word vectors.
        views: what gives word numbers; its `counts` make the noise distribution. None for a uniform one.
        window: context words on each side at most; each centre draws its own, from 1.
        negatives: words drawn for each pair.
        power: exponent of the words' counts in the noise distribution.
        group: consecutive centres that share their negatives.
        shared: words that a group draws.
        step_limit: terms of the loss up to which a word's steps add up in a batch; above, they are averaged down to so many.
        **kwargs: passed to `keras.Model`.
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        window: int = 5,
        negatives: int = 5,
        power: float = 0.75,
        group: int = 16,
        shared: int = 8,
        step_limit: float = 200.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.window = window
        self.negatives = negatives
        self.power = power
        self.group = group
        self.shared = shared
        self.step_limit = step_limit
        self.table = embedding_layer(backbone)
        self.words, self.dim = int(self.table.input_dim), int(self.table.output_dim)
        self.output_vectors = self.add_weight((self.words, self.dim), initializer="zeros", name="output_vectors")
        sums = np.cumsum(noise_distribution(self._counts(), power))
        sums[-1] = 1.0
        self.noise = self.add_weight(
            (self.words,), initializer="zeros", trainable=False, autocast=False, dtype="float32", name="noise"
        )
        self.noise.assign(sums.astype("float32"))
        self.draws = keras.random.SeedGenerator(None if views is None else views.seed)

    def _counts(self) -> np.ndarray:
        views: Any = self.views
        if not (getattr(views, "fitted", False) and hasattr(views, "counts")):
            return (np.arange(self.words) >= FIRST).astype(np.int64)
        counts = np.asarray(views.counts)
        if len(counts) != self.words:
            raise UsageError(
                f"the backbone has {self.words:,} word vectors and the preprocessor {len(counts):,} words. Build the backbone "
                f"with vocabulary={len(counts)}."
            )
        return counts

    @abc.abstractmethod
    def scores(self, groups: Groups, drawn: Tensor) -> dict[str, Tensor]:
        """Scores of pairs and of drawn words.

        Args:
            groups: centres and contexts.
            drawn: word numbers, shape ``(groups, shared)``.

        Returns:
            ``positive_scores``, ``positive``, ``negative_scores`` and ``negative`` of `negative_sampling_loss`.
        """

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Find the pairs, draw the negatives and score both."""
        del training
        ids = views[0][:, 0] if len(views[0].shape) == 3 else views[0]  # without the channel of segments
        groups = make_groups(ops.cast(ids, "int32"), self.group, self.window, self.draws)
        drawn = draw(ops.convert_to_tensor(self.noise), (ops.shape(groups.centre)[0], self.shared), self.draws)
        return self.scores(groups, drawn)

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply the formula: the mean over pairs, with the gradient of their sum."""
        del labels
        total = negative_sampling_loss(
            outputs["positive_scores"], outputs["positive"], outputs["negative_scores"], outputs["negative"]
        )
        return summed(total, ops.sum(outputs["positive"]))

    def health_inputs(self, rows: np.ndarray) -> np.ndarray:
        """Single words, the most frequent ones: it is their vectors that must not all be alike."""
        if len(self.backbone.input_shape) != 2 or self.backbone.input_shape[1] is not None:
            return rows  # a network that takes rows of one length
        return np.arange(FIRST, min(self.words, FIRST + len(rows)), dtype=np.int32)[:, None]

    def chance_loss(self, batch_size: int) -> float:
        """All scores 0: ``(negatives + 1) ln 2`` a pair."""
        del batch_size
        return (self.negatives + 1) * math.log(2)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("window", "negatives", "power", "group", "shared", "step_limit")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
