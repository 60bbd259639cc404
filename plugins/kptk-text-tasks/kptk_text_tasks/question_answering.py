"""Extractive question answering: the part of a text that answers a question."""

from __future__ import annotations

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
from kptk_text_tasks.answers import best_of, best_spans, exact_match, word_f1
from kptk_text_tasks.example_rows import ModelRows
from kptk_text_tasks.question_rows import question_rows

Array = NDArray[Any]
CANDIDATES = 20
"""Spans among which the probability of an answer is shared out, as in BERT's run_squad."""


def span_losses(labels: Tensor, scores: Tensor) -> Tensor:
    """Mean of the cross-entropies of the first and of the last place of an answer.

        (CE(start) + CE(end)) / 2,  each a softmax over all places of a row

    Args:
        labels: first and last place, shape ``(batch, 2)``.
        scores: start and end score of each place, shape ``(batch, length, 2)``.

    Returns:
        Shape ``(batch,)``.

    References:
        https://arxiv.org/abs/1810.04805, section 4.2
    """
    likely = ops.log_softmax(scores, axis=1)
    places = ops.expand_dims(ops.maximum(ops.cast(labels, "int32"), 0), 1)
    return -ops.mean(ops.take_along_axis(likely, places, axis=1)[:, 0], axis=-1)


@keras.saving.register_keras_serializable(package="kptk_text_tasks")
class QuestionAnswering(Task):
    """Two scores for each place: how well an answer begins there, and how well it ends there.

    A row is ``[CLS] question [SEP] text [SEP]``. A text that is longer than its row is cut into windows; of all windows the
    span with the largest sum of scores is the answer, and a place may begin one only in the window in which it has most around
    it. A row that does not hold the answer learns the place of ``[CLS]``.

    Args:
        class_names: must be empty.
        row_shape: shape of a row of token numbers.
        overlap: pieces that a window has in common with the next one, at least 0; at most half of its room.
        longest: pieces of an answer at most, at least 1.
        unanswerable: whether a text may not answer its question, so that the answer may be empty.
        null_threshold: with `unanswerable`: an answer is empty if the score of none is better by more than this.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/1810.04805; SQuAD, https://arxiv.org/abs/1606.05250, https://arxiv.org/abs/1806.03822
    """

    form = "questions"
    features = "sequence"
    metric = "f1"
    decoding = ("longest", "null_threshold")

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        overlap: int = 32,
        longest: int = 30,
        unanswerable: bool = False,
        null_threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(class_names=class_names, row_shape=row_shape, **kwargs)
        self.overlap = overlap
        self.longest = longest
        self.unanswerable = unanswerable
        self.null_threshold = null_threshold
        self.head = keras.layers.Dense(2, dtype="float32", name="span_scores")

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """None: an answer is no class."""
        del source
        return ()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the head."""
        self.head.build(input_shape)
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Start and end score of each place, shape ``(batch, length, 2)``."""
        del training
        return self.head(ops.cast(features, "float32"))

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Apply `span_losses`."""
        return span_losses(labels, outputs)

    def activate(self, outputs: Tensor) -> Tensor:
        """The scores as they are: their sums are compared across the windows of a text."""
        return outputs

    def known(self, labels: Tensor) -> Tensor:
        """Rows of questions whose answer is known."""
        return ops.all(labels >= 0, axis=-1)

    def examples(self, source: Source, preprocessor: Any) -> ModelRows:
        """Rows of a question and a window of its text."""
        return question_rows(source, preprocessor, self.overlap, self.name)

    def targets(self, source: Source) -> Array:
        """First and last place of the answer in each row.

        Raises:
            InputError: if there are no answers, or some questions have none and `unanswerable` is off.
        """
        if source.targets is None or source.targets.ndim != 2:
            raise InputError(
                f"{source.describe()}: question_answering needs answers: a column answer (and answer_start), or SQuAD's JSON."
            )
        if not self.unanswerable:
            for rows in grouped(source):
                note = source.notes(rows[:1])[0]
                if note is not None and note.answers is not None and not note.answers:
                    raise InputError(
                        f"{source.describe()}: the text does not answer the question '{note.question:.60}'. Leave such "
                        "questions out, or let answers be empty: -o task.unanswerable=true"
                    )
        return np.asarray(source.targets)

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no first and last place."""
        if labels.ndim != 2 or labels.shape[1] != 2 or labels.dtype.kind not in "iu":
            raise InputError(
                "question_answering takes the answers of each question, ((first character, text), ...), or first and last place "
                f"of shape (rows, 2). Received: shape {labels.shape}, dtype {labels.dtype}."
            )

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Exact match and F1 of the places, for rows that are no texts."""
        exact, overlap = [], []
        for (first, last), scores in zip(labels, predictions, strict=True):
            if first < 0:
                continue
            _, a, b = best_spans(scores[:, 0], scores[:, 1], np.ones(len(scores), bool), self.longest, 1)[0]
            shared = max(0, min(last, b) - max(first, a) + 1)
            exact.append(first == a and last == b)
            overlap.append(2 * shared / (last - first + b - a + 2))
        return _figures(exact, overlap)

    def score_rows(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """Exact match and F1 of the words, as SQuAD counts them."""
        if len(source) and source.notes(np.array([0]))[0] is None:
            return self.score(labels, predictions)
        judged = self._judged(predictions, source)
        return _figures([exact for exact, _, _ in judged], [overlap for _, overlap, _ in judged])

    def details(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """The figures of questions with an answer, and how often none was found where there is none."""
        del labels
        if not self.unanswerable:
            return {}
        judged = self._judged(predictions, source)
        answered = [row for row in judged if row[2]]
        empty = [exact for exact, _, has in judged if not has]
        found = _figures([row[0] for row in answered], [row[1] for row in answered])
        figures = {f"{key}_answerable": value for key, value in found.items()} if answered else {}
        return figures | ({"accuracy_unanswerable": float(np.mean(empty))} if empty else {})

    def _judged(self, predictions: Array, source: Source) -> list[tuple[float, float, bool]]:
        """Exact match, F1 and whether there is an answer, of each question whose answer is known."""
        judged = []
        for rows, found in zip(grouped(source), self.answers(predictions, source), strict=True):
            known = source.notes(rows[:1])[0].answers
            if known is not None:
                truths = [text for _, text in known]
                guess = found["answer"]
                judged.append((best_of(exact_match, truths, guess), best_of(word_f1, truths, guess), bool(known)))
        return judged

    def answers(self, predictions: Array, source: Source) -> list[dict[str, Any]]:
        """The answer to each question: text, characters, probability, and by how much none is better.

        Args:
            predictions: scores, shape ``(rows, length, 2)``.
            source: the rows, as `examples` made them.
        """
        return [self._answer(predictions[rows], source.notes(rows)) for rows in grouped(source)]

    def _answer(self, scores: Array, notes: list[Any]) -> dict[str, Any]:
        found: list[tuple[float, int, int]] = []
        for own, note in zip(scores, notes, strict=True):
            part = own[note.place : note.place + len(note.starts)].astype("float64")
            for value, first, last in best_spans(part[:, 0], part[:, 1], note.own, self.longest, CANDIDATES):
                found.append((value, int(note.starts[first]), int(note.ends[last])))
        found = sorted(found, key=lambda span: -span[0])[:CANDIDATES]
        none = min(float(own[0, 0]) + float(own[0, 1]) for own in scores)
        values = [value for value, _, _ in found] + ([none] if self.unanswerable or not found else [])
        shares = np.exp(np.array(values) - max(values))
        shares /= shares.sum()
        context = notes[0].context
        better = none - found[0][0] if found else 0.0
        if not found or (self.unanswerable and better > self.null_threshold):
            return {"answer": "", "start": -1, "end": -1, "score": float(shares[-1]), "null_score": float(better)}
        _, start, end = found[0]
        text = context[start:end]
        return {"answer": text, "start": start, "end": end, "score": float(shares[0]), "null_score": float(better)}

    def columns(self, predictions: Array) -> dict[str, Array]:
        """First and last place of the best span, for rows that are no texts."""
        best = [best_spans(s[:, 0], s[:, 1], np.ones(len(s), bool), self.longest, 1)[0] for s in predictions]
        return {"first": np.array([first for _, first, _ in best]), "last": np.array([last for _, _, last in best])}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """Question, answer, its first character and the one behind it, and its probability among the best spans."""
        groups = grouped(source)
        notes = [source.notes(rows[:1])[0] for rows in groups]
        if notes and notes[0] is None:
            return self.columns(predictions)
        found = self.answers(predictions, source)
        table = {
            "question": objects([note.question for note in notes]),
            "answer": objects([row["answer"] for row in found]),
            **{key: np.array([row[key] for row in found]) for key in ("start", "end", "score")},
        }
        return table | ({"null_score": np.array([row["null_score"] for row in found])} if self.unanswerable else {})

    def example_labels(self, inputs: Array, classes: Array) -> Array:
        """The places of two tokens that follow from the class, for the rows of the conformance kit."""
        del inputs
        return np.stack([1 + classes % 4, 2 + classes % 4], axis=1).astype("int32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("overlap", "longest", "unanswerable", "null_threshold")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _figures(exact: list[Any], overlap: list[Any]) -> dict[str, float]:
    return {
        "f1": float(np.mean(overlap)) if overlap else 0.0,
        "exact_match": float(np.mean(exact)) if exact else 0.0,
    }
