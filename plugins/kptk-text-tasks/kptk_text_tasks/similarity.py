"""Similarity: how alike two inputs are, by the cosine of their embeddings."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.examples import objects
from kptk.training.task import Task
from kptk.training.tensors import unit_length
from kptk.types import Tensor
from kptk_text_tasks.embedders import Embedder, PairEmbedder
from kptk_text_tasks.scored_rows import POSITIVE, scored_rows
from kptk_text_tasks.similarity_figures import correlations, search_figures
from kptk_text_tasks.similarity_losses import cosent, cosine_errors, cosines, multiple_negatives

Array = NDArray[Any]
LOSSES = ("auto", "cosine", "cosent", "mnrl")


@keras.saving.register_keras_serializable(package="kptk_text_tasks")
class Similarity(Task):
    """The same network reads both inputs of a pair, each by itself; what is learned is the cosine of the two embeddings.

    The head is a linear map with a bias, which starts as the identity: an untrained model compares the backbone's own features,
    and the head alone learns which of their directions count.

    Labels are a score a pair, or three columns as `kptk_text_tasks.scored_rows.scored_rows` makes them: with the numbers of the
    inputs, so that pairs with a common input are not taken for negatives.

    Args:
        class_names: must be empty.
        row_shape: shape of a pair.
        loss: ``"cosine"``, the squared error of the cosine against the score in the range 0..1; ``"cosent"``, which learns only
            the order of the scores; ``"mnrl"``, which finds the second input of a pair among those of the batch, for pairs
            without scores; ``"auto"`` for cosine where there are scores and mnrl where there are none.
        dim: length of the embeddings; 0 for that of the features.
        temperature: of ``"cosent"`` and ``"mnrl"``, above 0.
        lowest: the score of two inputs that have nothing in common, for ``"cosine"``.
        highest: the score of two that say the same; 0 for the highest score of the training data.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        Sentence-BERT, https://arxiv.org/abs/1908.10084; https://arxiv.org/abs/1705.00652; CoSENT, https://kexue.fm/archives/8847
    """

    form = "scored_pairs"
    features = "pair"
    metric = "spearman"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        loss: str = "auto",
        dim: int = 0,
        temperature: float = 0.05,
        lowest: float = 0.0,
        highest: float = 0.0,
        **kwargs: Any,
    ) -> None:
        del class_names  # a score is no class
        super().__init__(row_shape=row_shape, **kwargs)
        if loss not in LOSSES:
            raise UsageError(f"`loss` must be one of {', '.join(LOSSES)}. Received: {loss!r}.")
        self.dim = dim
        self.temperature = temperature
        self.lowest = lowest
        self.highest = highest
        self._choose(loss)

    def _choose(self, loss: str) -> None:
        self.loss_name = loss
        self.metric = "mrr" if loss == "mnrl" else "spearman"
        self.least_batch = 2 if loss in ("mnrl", "cosent") else 1

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """None: a score is no class."""
        del source
        return ()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the map, as the identity where the embeddings are as long as the features."""
        width = int(input_shape[-1] or 0)
        same = self.dim in (0, width)
        self.head = keras.layers.Dense(
            self.dim or width,
            kernel_initializer="identity" if same else keras.initializers.Orthogonal(),
            dtype="float32",
            name="embedding",
        )
        self.head.build(input_shape)
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Embeddings of length 1, shape ``(batch, 2, dim)``."""
        del training
        return unit_length(self.head(ops.cast(features, "float32")))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Loss of each pair; that of the batch for each, where it is one of all pairs together."""
        scores, numbers = _parted(labels)
        if self.loss_name == "mnrl":
            return multiple_negatives(outputs, self.temperature, numbers)
        if self.loss_name == "cosent":
            return cosent(scores, outputs, self.temperature) * ops.ones_like(scores)
        if self.loss_name == "auto" or self.highest <= self.lowest:
            raise UsageError(
                "task similarity must see its labels before it learns. Fit arrays or lists, or say what the scores are: "
                "loss='cosine', highest=5; or loss='mnrl'."
            )
        return cosine_errors((scores - self.lowest) / (self.highest - self.lowest), outputs)

    def activate(self, outputs: Tensor) -> Tensor:
        """The score of each pair, shape ``(batch, 1)``: in the data's unit after the loss cosine, otherwise the cosine."""
        found = ops.expand_dims(cosines(outputs), -1)
        if self.loss_name != "cosine":
            return found
        return self.lowest + (self.highest - self.lowest) * found

    def known(self, labels: Tensor) -> Tensor:
        """Pairs with a score, and all in data without scores."""
        return ops.logical_not(ops.isnan(_parted(labels)[0]))

    def examples(self, source: Source, preprocessor: Any) -> Source:
        """Both texts of each pair as rows of numbers; arrays of other inputs as they are."""
        return scored_rows(source, preprocessor, self.name) if source.inputs == "text" else source

    def backbone_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one side, which the network looks at itself."""
        del shape
        return ()

    def embedder(self, model: Any) -> keras.Model:
        """Single inputs to their embeddings."""
        return Embedder(model)

    def judge(self, model: Any) -> keras.Model:
        """The embeddings of both sides, in which a search can be tried."""
        return PairEmbedder(model)

    def targets(self, source: Source) -> Array:
        """The score and the numbers of the inputs, shape ``(rows, 3)``.

        Raises:
            InputError: if the scores say nothing, or both sides of a pair without a score are the same.
        """
        if source.targets is None:
            raise InputError(f"{source.describe()}: similarity needs pairs: a table with a column for each text.")
        labels = np.asarray(source.targets, dtype=np.float64)
        self.check_labels(labels)
        scores = labels[:, 0] if labels.ndim == 2 else labels
        known = scores[~np.isnan(scores)]
        if len(known) and known[0] != POSITIVE and len(np.unique(known)) < 2:
            raise InputError(
                f"{source.describe()}: every score is {known[0]:g}, so there is nothing to tell apart. If all pairs belong "
                "together, leave the scores out: -o data.score=-"
            )
        if labels.ndim == 2 and labels.shape[1] == 3:
            self._refuse_same(source, labels)
        return labels

    def _refuse_same(self, source: Source, labels: Array) -> None:
        """Both sides the same: nothing to find where there are no scores, nothing at all where it is so in every pair."""
        same = np.flatnonzero(labels[:, 1] == labels[:, 2])
        if len(same) and (len(same) == len(labels) or (labels[same, 0] == POSITIVE).any()):
            raise InputError(
                f"{source.describe()}: {len(same):,} of {len(labels):,} pairs hold the same input twice, the first of them in "
                f"row {source.row_name(int(same[0]))}: whatever the network does, their cosine is 1. Leave such pairs out."
            )

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no score."""
        fine = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] in (1, 3))
        if not fine or labels.dtype.kind not in "iufb":
            raise InputError(
                "similarity takes a score for each pair, of shape (rows,); or three columns, (score, number of the first input, "
                f"number of the second). Received: shape {labels.shape}, dtype {labels.dtype}."
            )
        scores = np.asarray(_column(labels), dtype=np.float64)
        without = np.isinf(scores)
        if without.any() and not (scores[~np.isnan(scores)] == POSITIVE).all():
            raise InputError("scores must be finite numbers, NaN where there is none. Received: infinity.")

    def adapt(self, labels: Array) -> None:
        """Choose the loss by whether there are scores, and learn their highest.

        Raises:
            InputError: if the loss does not fit the scores, or a score lies beyond its range.
        """
        scores = np.asarray(_column(labels), dtype=np.float64)
        scores = scores[~np.isnan(scores)]
        if not len(scores):
            return
        without = bool(scores[0] == POSITIVE)
        loss = ("mnrl" if without else "cosine") if self.loss_name == "auto" else self.loss_name
        if without and loss != "mnrl":
            raise InputError(
                f"loss {loss} learns from scores, and these pairs have none. Name their column (-o data.score=NAME), or use "
                "-o task.loss=mnrl"
            )
        if loss == "mnrl" and not without:
            raise InputError(
                "loss mnrl learns from pairs that belong together and takes no scores. Keep those pairs and leave the scores out "
                "(-o data.score=-), or use -o task.loss=cosine"
            )
        if loss == "cosine":
            self._learn_range(scores)
        self._choose(loss)

    def _learn_range(self, scores: Array) -> None:
        highest = self.highest if self.highest > self.lowest else float(scores.max())
        if scores.min() < self.lowest or scores.max() > highest or highest <= self.lowest:
            raise InputError(
                f"scores must lie between `lowest` and `highest`, {self.lowest:g}..{highest:g}. Received: "
                f"{scores.min():g}..{scores.max():g}. Say the range: -o task.lowest=-1 -o task.highest=1"
            )
        self.highest = highest

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Correlations with the scores; without scores, how well the second inputs are found by the first.

        Args:
            labels: as `targets` makes them.
            predictions: embeddings, shape ``(rows, 2, dim)``; or scores, which are enough for correlations.
        """
        scores = np.asarray(_column(labels), dtype=np.float64)
        rows = ~np.isnan(scores)
        scores, found = scores[rows], np.asarray(predictions)[rows]
        if len(scores) and scores[0] == POSITIVE:
            if found.ndim != 3:
                raise UsageError(
                    "pairs without scores are judged by embeddings: call kptk evaluate, or kptk.training.choice.Scorer."
                )
            numbers = np.asarray(labels)[rows, 1:] if np.ndim(labels) == 2 and np.shape(labels)[1] == 3 else None
            return search_figures(found, _all_different(len(found)) if numbers is None else numbers)
        values = (found[:, 0] * found[:, 1]).sum(axis=-1) if found.ndim == 3 else found.reshape(len(found))
        return correlations(scores, values)

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The score."""
        return {"score": np.asarray(predictions).reshape(len(predictions))}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """Both texts and their score."""
        notes = source.notes(np.arange(len(source)))
        if not notes or notes[0] is None:
            return self.columns(predictions)
        texts = {side: objects([getattr(note, side) for note in notes]) for side in ("first", "second")}
        return texts | self.columns(predictions)

    def example_labels(self, inputs: Array, classes: Array) -> Array:
        """The scores 0 and 1 that the conformance kit gives pairs of two classes and of one."""
        del inputs
        return classes.astype("float32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument, the loss as it was chosen and the highest score as it was learned."""
        names = ("dim", "temperature", "lowest", "highest")
        return {**super().get_config(), "loss": self.loss_name, **{name: getattr(self, name) for name in names}}


def _parted(labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Scores, and the numbers of the inputs if there are some."""
    labels = ops.cast(labels, "float32")
    if len(labels.shape) == 1:
        return labels, None
    return labels[:, 0], labels[:, 1:] if labels.shape[1] == 3 else None


def _column(labels: Array) -> Array:
    labels = np.asarray(labels)
    return labels[:, 0] if labels.ndim == 2 else labels


def _all_different(rows: int) -> Array:
    return np.arange(2 * rows).reshape(2, rows).T
