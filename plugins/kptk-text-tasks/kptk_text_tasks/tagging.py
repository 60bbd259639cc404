"""Token tagging: a tag for each word."""

from __future__ import annotations

from itertools import chain
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.examples import grouped, objects
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_text_tasks.example_rows import ModelRows
from kptk_text_tasks.spans import OUTSIDE, SpanCounts, count_spans, marks_spans, spans
from kptk_text_tasks.word_rows import UNKNOWN_TAG, word_rows

Array = NDArray[Any]


def place_losses(labels: Tensor, logits: Tensor) -> Tensor:
    """Softmax cross-entropy at each place, 0 where there is no label.

    Args:
        labels: class numbers, negative where there is none, shape ``(batch, length)``.
        logits: shape ``(batch, length, classes)``.

    Returns:
        Shape ``(batch, length)``.
    """
    labels = ops.cast(labels, "int32")
    there = labels >= 0
    chosen = ops.where(there, labels, ops.zeros_like(labels))
    picked = ops.take_along_axis(ops.log_softmax(logits, axis=-1), ops.expand_dims(chosen, -1), axis=-1)[..., 0]
    return ops.where(there, -picked, ops.zeros_like(picked))


@keras.saving.register_keras_serializable(package="kptk_text_tasks")
class Tagging(Task):
    """A linear head with softmax cross-entropy at the first piece of each word.

    Words are cut into pieces by the preprocessor. The first piece carries the word's tag; the others, and the special tokens,
    count for nothing. The loss is the mean over the tagged words of the batch. A sentence that is longer than a row becomes
    several windows of whole words; each word is tagged in the window in which it has most around it, and the others show it
    only as context.

    Args:
        class_names: the tags, two or more; a run takes them from the data.
        row_shape: shape of a row of token numbers.
        overlap: pieces that a window has in common with the next one, at least 0; at most half a row.
        dropout: fraction of the vectors dropped before the head, 0 <= dropout < 1.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/1810.04805, section 5.3
    """

    form = "tagged_words"
    features = "sequence"

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        overlap: int = 16,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(class_names=class_names, row_shape=row_shape, **kwargs)
        if len(self.class_names) < 2:
            raise InputError(
                f"tagging needs words with at least two tags. Received: {', '.join(self.class_names) or 'none'}. Give a CoNLL "
                "file (word, tab, tag), or JSON lines with tokens and tags; in Python, class_names."
            )
        self.overlap = overlap
        self.dropout = dropout
        self.marks_spans = marks_spans(self.class_names)
        self.drop = keras.layers.Dropout(dropout, dtype="float32")
        self.head = keras.layers.Dense(len(self.class_names), dtype="float32", name="logits")

    @property
    def metric(self) -> str:  # type: ignore[override]
        """F1 of the spans where tags mark spans, otherwise the accuracy."""
        return "f1" if self.marks_spans else "accuracy"

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """Every tag of the training data, the one outside of all spans first."""
        if source.targets is None or source.targets.dtype != object:
            return ()
        names = {str(tag) for tags in source.targets if tags is not None for tag in tags}
        return tuple(sorted(names, key=lambda name: (name != OUTSIDE, name)))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head."""
        self.head.build(input_shape)
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits, shape ``(batch, length, tags)``."""
        return self.head(self.drop(ops.cast(features, "float32"), training=training))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the tagged words of each row."""
        count = ops.sum(ops.cast(labels >= 0, "float32"), axis=-1)
        return ops.sum(place_losses(labels, outputs), axis=-1) / ops.maximum(count, 1.0)

    def loss(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the tagged words of the batch, however they are spread over its rows."""
        losses = place_losses(labels, outputs)
        if weights is not None:
            losses = losses * ops.cast(ops.reshape(weights, (-1, 1)), "float32")
        return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(labels >= 0, "float32")), 1.0)

    def activate(self, outputs: Tensor) -> Tensor:
        """Probabilities of the tags at each place."""
        return ops.softmax(outputs, axis=-1)

    def known(self, labels: Tensor) -> Tensor:
        """Rows in which a word has a tag."""
        return ops.any(labels >= 0, axis=-1)

    def examples(self, source: Source, preprocessor: Any) -> ModelRows:
        """Rows of pieces with the tag of each word at its first piece."""
        return word_rows(self, source, preprocessor, self.overlap)

    def targets(self, source: Source) -> Array:
        """Tag numbers at the first pieces, -1 elsewhere.

        Raises:
            InputError: if there are no tags, or one that the model has not learned.
        """
        labels = source.targets
        if labels is None:
            raise InputError(
                f"{source.describe()}: tagging needs a tag for each word: a CoNLL file (word, tab, tag), or JSON lines with "
                "tokens and tags."
            )
        rows = np.flatnonzero((labels == UNKNOWN_TAG).any(axis=-1))
        if len(rows):
            note = source.notes(rows[:1])[0]
            tag = next(tag for tag in note.tags if tag not in self.class_names)
            raise InputError(
                f"{source.describe()}: the tag '{tag}' was not among the {len(self.class_names)} tags that the model learned "
                f"({', '.join(self.class_names[:8])}{', ...' if len(self.class_names) > 8 else ''}). "
                "Leave those sentences out, or fine-tune with them."
            )
        return np.asarray(labels)

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no array of tag numbers."""
        if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.max(initial=-1) >= len(self.class_names):
            raise InputError(
                f"tagging takes lists of tags, or tag numbers of shape (rows, length) of 0..{len(self.class_names) - 1} with -1 "
                f"for no tag. Received: shape {labels.shape}, dtype {labels.dtype}, largest {labels.max(initial=-1)}."
            )

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Accuracy of the words; precision, recall and F1 of whole spans, or the macro-F1 of the tags if they mark none."""
        return self._figures(*self._sentences(labels, predictions, None))

    def score_rows(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """The same, with the windows of a sentence put together."""
        return self._figures(*self._sentences(labels, predictions, source))

    def details(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """Precision, recall and F1 of each kind of span, or of each tag."""
        truth, guess = self._sentences(labels, predictions, source)
        return {
            f"{figure}_{kind}": float(getattr(counted, figure))
            for kind, counted in sorted(self._counts(truth, guess).items())
            if kind
            for figure in ("precision", "recall", "f1")
        }

    def _sentences(
        self, labels: Array, predictions: Array, source: Source | None
    ) -> tuple[list[list[str]], list[list[str]]]:
        """True and predicted tags of the words of each sentence that have one."""
        groups = [np.array([row]) for row in range(len(labels))] if source is None else grouped(source)
        chosen = predictions.argmax(axis=-1)
        truth, guess = [], []
        for rows in groups:
            # A word has its tag in one window only, and windows go on with the words of those before.
            there = labels[rows] >= 0
            if there.any():
                order = np.argsort(self._places(source, rows, there), kind="stable")
                truth.append([self.class_names[tag] for tag in labels[rows][there][order]])
                guess.append([self.class_names[tag] for tag in chosen[rows][there][order]])
        return truth, guess

    @staticmethod
    def _places(source: Source | None, rows: Array, there: Array) -> Array:
        if source is None or len(rows) == 1:
            return np.arange(there.sum())
        return np.concatenate([note.own for note in source.notes(rows)])

    def _counts(self, truth: list[list[str]], guess: list[list[str]]) -> dict[str, SpanCounts]:
        if self.marks_spans:
            return count_spans(truth, guess)
        counts = {"": SpanCounts()}
        for wanted, given in zip(chain.from_iterable(truth), chain.from_iterable(guess), strict=True):
            counts.setdefault(wanted, SpanCounts()).true += 1
            counts.setdefault(given, SpanCounts()).predicted += 1
            counts[wanted].right += wanted == given
        return counts

    def _figures(self, truth: list[list[str]], guess: list[list[str]]) -> dict[str, float]:
        right = [a == b for wanted, given in zip(truth, guess, strict=True) for a, b in zip(wanted, given, strict=True)]
        figures = {"accuracy": float(np.mean(right)) if right else 0.0}
        counts = self._counts(truth, guess)
        if self.marks_spans:
            whole = counts[""]
            return {"f1": whole.f1, "precision": whole.precision, "recall": whole.recall, **figures}
        ones = [counted.f1 for kind, counted in counts.items() if kind]
        return {**figures, "macro_f1": float(np.mean(ones)) if ones else 0.0}

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The likeliest tag at each place of a row, for rows that are no sentences."""
        chosen = predictions.argmax(axis=-1)
        return {"tags": objects([[self.class_names[tag] for tag in row] for row in chosen])}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """The words of each sentence, their tags with probabilities, and the spans that they mark."""
        words, tags, sure, found = [], [], [], []
        for rows in grouped(source):
            notes = source.notes(rows)
            if notes[0] is None:
                return self.columns(predictions)
            sentence = notes[0].words
            likely = np.zeros((len(sentence), len(self.class_names)), dtype="float32")
            for row, note in zip(rows, notes, strict=True):
                likely[note.own] = predictions[row, note.places]
            chosen = [self.class_names[tag] for tag in likely.argmax(axis=-1)]
            words.append(list(sentence))
            tags.append(chosen)
            sure.append([round(float(value), 4) for value in likely.max(axis=-1)])
            found.append(
                [{"kind": kind, "start": a, "end": b, "text": " ".join(sentence[a:b])} for kind, a, b in spans(chosen)]
            )
        table = {"words": objects(words), "tags": objects(tags), "probabilities": objects(sure)}
        return table | ({"spans": objects(found)} if self.marks_spans else {})

    def example_labels(self, inputs: Array, classes: Array) -> Array:
        """A tag that follows from the token, for the rows of the conformance kit."""
        del classes
        ids = inputs[:, 0] if inputs.ndim == 3 else inputs
        return np.where(ids > 4, ids % len(self.class_names), -1).astype("int32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "overlap": self.overlap, "dropout": self.dropout}
